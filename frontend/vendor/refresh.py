"""Fetch the libraries of the pages again from their npm packages, at the versions that vendor.json names.

To move to another version, change `version` in vendor.json, run this script (it needs npm) and look at the changes:

    python frontend/vendor/refresh.py

The script writes the files and their SHA-256 digests. A test compares the digests with the files.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

VENDOR = Path(__file__).parent
SOURCE_MAP = re.compile(rb"\s*(?://# sourceMappingURL=\S+|/\*# sourceMappingURL=[^*]+\*/)\s*$")
"""The last line of a minified file. Browsers would ask for a file that is not there."""


def refresh(name: str, entry: dict[str, Any]) -> None:
    """Replace the files of one library. `entry` has `package`, `version` and `files`: name -> `path` and `sha256`."""
    with TemporaryDirectory() as folder:
        package = f"{entry['package']}@{entry['version']}"
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, capture_output=True, text=True, check=True)
        with tarfile.open(Path(folder) / done.stdout.strip()) as archive:
            archive.extractall(folder, filter="data")
        for file, facts in entry["files"].items():
            data = SOURCE_MAP.sub(b"", (Path(folder) / "package" / facts["path"]).read_bytes())
            target = VENDOR / name / file
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
            facts["sha256"] = hashlib.sha256(data).hexdigest()


def main() -> None:
    path = VENDOR / "vendor.json"
    libraries = json.loads(path.read_text())
    for name, entry in libraries.items():
        print(f"{entry['package']} {entry['version']}")
        refresh(name, entry)
    path.write_text(json.dumps(libraries, indent=1) + "\n")


if __name__ == "__main__":
    main()
