"""Fuzzes the parsers: `python -m tests.fuzz [TARGET …] [--seconds 60] [--corpus DIR]`. It needs Linux on x86-64.

Each finding becomes a file in tests/fuzz/corpus/<target>/, which the suite replays. With `--corpus`, inputs that reach
new code are kept in a folder of yours, from which a later run goes on.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.fuzz.judging import MAX_BYTES, MAX_INPUT
from tests.fuzz.target import Target
from tests.fuzz.targets import CORPUS, TARGETS

_HANG_SECONDS = 30
"""Time after which libFuzzer ends the process. Slower machines and other load must not look like a hang."""
_BASE_MEGABYTES = 512
"""Memory of the process without any input, with room for what libFuzzer keeps."""
_PROGRESS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")
_LEFT = re.compile(r"(crash|timeout|oom|slow-unit|leak)-")


@dataclass
class Outcome:
    """What a target's run has done."""

    executions: int = 0
    coverage: int = 0
    findings: int = 0

    def __str__(self) -> str:
        return f"{self.executions:,} executions, {self.coverage:,} places reached, {self.findings} findings"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets one after the other. Return 1 if there is a finding, otherwise 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="time for each target (default: 60)")
    parser.add_argument("--corpus", type=Path, help="folder for inputs that reach new code (default: none is kept)")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - TARGETS.keys()
    if unknown:
        parser.error(f"expected targets among {', '.join(TARGETS)}, got {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("expected atheris (make fuzz installs it, on Linux with x86-64), got none")
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.targets or TARGETS:
            outcomes[name] = run(TARGETS[name], options.seconds, (options.corpus or Path(folder)) / name)
    for name, outcome in outcomes.items():
        print(f"{name}: {outcome}")
    return int(any(outcome.findings for outcome in outcomes.values()))


def run(target: Target, seconds: int, kept: Path) -> Outcome:
    """Fuzz one target for some seconds. `kept`: the folder for inputs that reach new code."""
    outcome, end = Outcome(), time.monotonic() + seconds
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (kept / f"seed-{number}").write_bytes(seed)
    (kept.parent / f"{target.name}.dict").write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens))
    findings = CORPUS / target.name
    while (left := int(end - time.monotonic())) > 0:
        executed = outcome.executions
        ended_well = _run_engine(target, kept, findings, left, outcome)
        for path in kept.parent.iterdir():
            if _LEFT.match(path.name):
                findings.mkdir(parents=True, exist_ok=True)
                path.rename(findings / path.name)
                outcome.findings += 1
                print(f"FINDING {findings / path.name}")
        if not ended_well and outcome.executions == executed:
            raise SystemExit(f"the engine ends without an execution of {target.name}")
    return outcome


def _run_engine(target: Target, kept: Path, findings: Path, seconds: int, outcome: Outcome) -> bool:
    """Run atheris until its time is over or an input ends it, and return whether it has ended by itself."""
    command = [
        *(sys.executable, "-m", "tests.fuzz.engine", target.name, str(findings), str(kept)),
        *(f"-max_total_time={seconds}", f"-timeout={_HANG_SECONDS}", f"-max_len={MAX_INPUT}", "-print_final_stats=0"),
        *(f"-rss_limit_mb={_BASE_MEGABYTES + MAX_BYTES // 2**20}", f"-artifact_prefix={kept.parent}/"),
        *(f"-dict={kept.parent / target.name}.dict", "-close_fd_mask=0"),
    ]
    executed, tail = 0, ""
    environment = {**os.environ, "PYTHONPATH": str(CORPUS.parents[2])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        assert process.stdout is not None
        shown_at, in_finding = 0.0, False
        for line in process.stdout:
            tail = (tail + line)[-3000:]
            progress = _PROGRESS.match(line)
            if line.startswith("FINDING"):
                outcome.findings += 1
            if progress:
                executed, outcome.coverage = int(progress[1]), max(outcome.coverage, int(progress[2]))
            in_finding = line.startswith("FINDING") or (in_finding and not line.startswith("#"))
            if in_finding:
                print(line, end="", flush=True)
            elif progress and time.monotonic() - shown_at > 1:
                shown_at = time.monotonic()
                print(f"{target.name}: {replace(outcome, executions=outcome.executions + executed)}", flush=True)
    outcome.executions += executed
    if process.returncode:
        print(tail, flush=True)
    return process.returncode == 0


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    sys.exit(main())
