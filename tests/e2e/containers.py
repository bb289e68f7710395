"""The commands and health checks of docker-compose.yml, run as processes with the environment of their containers.

Names of other containers, and paths inside of them, are replaced by what the tests run in their place.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.settings import PROJECT

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")


def interpolate(value: Any, variables: dict[str, str]) -> Any:
    """Return a part of a compose file with `${NAME:-default}` and `$$` replaced, as Compose does it."""
    if isinstance(value, dict):
        return {key: interpolate(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolate(part, variables) for part in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: found[1] or variables.get(found[2]) or found[3] or "", value)


@dataclass
class Containers:
    """Processes in place of the containers of docker-compose.yml."""

    folder: Path
    """Where logs and the data of the processes are."""
    places: dict[str, str]
    """What stands in the compose file, and what stands in its place here."""
    variables: dict[str, str]
    """The content of .env."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = (PROJECT / "docker-compose.yml").read_text("utf-8")
        self.services: dict[str, Any] = interpolate(yaml.safe_load(text)["services"], self.variables)

    def here(self, text: str) -> str:
        """Return a text of a container with the names and paths of this machine."""
        known = "|".join(map(re.escape, self.places))
        # /data is a place, and the beginning of /database is none.
        return re.sub(rf"({known})(?!\w)", lambda found: self.places[found[0]], text)

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a container. It has nothing of the environment of the tests."""
        declared = self.services[service].get("environment", {})
        from_file = self.variables if "env_file" in self.services[service] else {}
        image = {"PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin", "HOME": str(self.folder)}
        return image | from_file | {name: self.here(str(value)) for name, value in declared.items()}

    def run(self, service: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command of a service, or another one as `docker compose run` does, to its end."""
        words = [self.here(word) for word in command or self.services[service]["command"]]
        return subprocess.run(
            words, cwd=PROJECT, env=self.environment(service), capture_output=True, text=True, check=False
        )

    def start(self, service: str, *further: str) -> None:
        """Start the command of a service, with further arguments, and write its output to a log."""
        words = [*map(self.here, self.services[service]["command"]), *further]
        with (self.folder / f"{service}.log").open("wb") as log:
            self.running[service] = subprocess.Popen(
                words, cwd=PROJECT, env=self.environment(service), stdout=log, stderr=log
            )

    def is_healthy(self, service: str) -> bool:
        """Return the outcome of the health check of a service. Fails if its process has ended."""
        log = self.folder / f"{service}.log"
        assert self.running[service].poll() is None, f"{service} has ended: {log.read_text('utf-8')}"
        return self.run(service, self.services[service]["healthcheck"]["test"][1:]).returncode == 0

    def stop(self, service: str) -> int:
        """Stop a service as `docker compose stop` does, and return its exit code."""
        process = self.running.pop(service)
        process.terminate()
        return process.wait(60)

    def close(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(60)
