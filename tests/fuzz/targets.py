"""All targets of fuzzing, and the inputs that were findings once."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.crawling import PAGE, RECIPE, ROBOTS, SITEMAP
from tests.fuzz.requests import CROP, MULTIPART
from tests.fuzz.sources import ARCHIVE, MANIFEST
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for target in (MANIFEST, ARCHIVE, MULTIPART, CROP, RECIPE, ROBOTS, SITEMAP, PAGE)
}
CORPUS = Path(__file__).with_name("corpus")
"""One folder for each target. Each file was a finding, and its fault is mended."""


def findings_of(target: Target) -> list[Path]:
    """Return the files of a target in the corpus."""
    return sorted(path for path in (CORPUS / target.name).glob("*") if path.is_file())
