"""Declares the packages of requirements/serve.in as dependencies of the distribution, so that they are listed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

BUILD_PACKAGES = {"hatchling", "editables"}
"""What serve.in lists only so that `make` can build without a network."""


class ServeRequirements(MetadataHookInterface):
    """Reads the dependencies when a wheel is built."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the dependencies to the metadata of the project."""
        lines = Path(self.root, "requirements", "serve.in").read_text("utf-8").splitlines()
        required = (line.partition("#")[0].strip() for line in lines)
        metadata["dependencies"] = [
            requirement for requirement in required if requirement and requirement not in BUILD_PACKAGES
        ]
