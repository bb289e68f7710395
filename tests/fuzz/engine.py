"""One run of atheris (libFuzzer): `python -m tests.fuzz.engine TARGET FINDINGS ARGUMENTS…`, started by tests.fuzz.

Mutations are guided by the lines of Python that an input reaches. A finding does not end the run: it is stored in the
folder FINDINGS, once for each place in the code. What ends the process (a hang, or memory) is stored by libFuzzer.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=[
        "core",
        "crawler",
        "api.intake",
        "api.schemas",
        "multipart",
        "protego",
        "w3lib",
        "price_parser",
        "jmespath",
    ]
):
    from tests.fuzz.judging import judge
    from tests.fuzz.targets import TARGETS, findings_of


def main() -> None:
    # Findings can contain characters that no encoding has.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    target, folder = TARGETS[sys.argv[1]], Path(sys.argv[2])
    known = {finding.place for path in findings_of(target) if (finding := judge(target, path.read_bytes()))}

    def execute(data: bytes) -> None:
        finding = judge(target, data)
        if finding is None or finding.place in known:
            return
        known.add(finding.place)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha256(data).hexdigest()[:12]
        path.write_bytes(data)
        print(f"FINDING {path}: {finding.place}\n{finding.text.rstrip()}", flush=True)

    atheris.Setup([sys.argv[0], *sys.argv[3:]], execute)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
