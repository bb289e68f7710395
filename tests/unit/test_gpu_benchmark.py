"""What `python -m benchmarks gpu` says about a machine and its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu_page import Answered, Decoded, Findings, Predicted, to_markdown
from benchmarks.run import Machine


def findings(*, has_gpu: bool) -> Findings:
    megabytes = 512.0 if has_gpu else None
    return Findings(
        machine="A machine",
        software="software",
        model="garments@1",
        has_gpu=has_gpu,
        service_device="tensorflow, GPU, mixed_float16",
        predicted=[
            Predicted("TensorFlow, GPU", "mixed_float16", 8, True, 10.0, 800.0, megabytes),
            Predicted("TensorFlow, GPU", "mixed_float16", 32, True, 32.0, 1000.0, megabytes),
            Predicted("TensorFlow, GPU", "mixed_float16", 256, False, 200.0, 1280.0, megabytes),
        ],
        skipped=["keras.predict, f32, batches of 32"],
        agreement=(25, 26, 0.0123),
        decoded=[Decoded(400, 130.0, 250.0), Decoded(1500, 50.0, 96.0)],
        cores=2,
        answered=[Answered(400, 900.0, 720.0)],
    )


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table."""
    found: list[list[list[str]]] = []
    lines = text.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_the_tables_have_the_figures_and_as_many_cells_as_columns() -> None:
    predicting, decoding, service = tables(to_markdown(findings(has_gpu=True)))
    for table in (predicting, decoding, service):
        assert {len(row) for row in table} == {len(table[0])}
    assert predicting[2] == ["TensorFlow, GPU *", "mixed_float16", "8", "10.0", "800", "512"]
    assert predicting[4][0] == "TensorFlow, GPU"
    # The device predicts 1,000 a second in the sizes of the service, and a core decodes 125 and 48 of them.
    assert [row[3] for row in decoding[2:]] == ["8", "21"]
    assert service[2] == ["400 px", "900", "720", "0.80"]


def test_a_missing_gpu_and_what_was_left_out_are_said() -> None:
    with_gpu, without = (to_markdown(findings(has_gpu=has_gpu)) for has_gpu in (True, False))
    assert "No GPU was found" not in with_gpu
    assert "No GPU was found" in without
    assert "Not measured: keras.predict, f32, batches of 32." in without
    assert "25 of 26 sample pictures" in without
    assert "0.0123" in without


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "echo 'NVIDIA L4, 550.54.15, 23034 MiB'; echo 'NVIDIA L4, 550.54.15, 23034 MiB'",
            "NVIDIA L4 (driver 550.54.15, 23034 MiB), NVIDIA L4 (driver 550.54.15, 23034 MiB)",
        ),
        ("echo 'No devices were found'; exit 6", "no GPU"),
    ],
)
def test_the_machine_names_its_gpus(
    script: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert f", {expected}, " in Machine.here().name
