"""The command for backbones' weights, and what the commands about models share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cli.output import SafeConsole

if TYPE_CHECKING:
    from classifier.artifact import Artifact

T = TypeVar("T")

out = SafeConsole(highlight=False, soft_wrap=True)
err = SafeConsole(stderr=True, highlight=False)


class ProgressReporter:
    """Shows one progress bar per phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = TaskID(0)

    def phase(self, name: str, steps: int) -> None:
        """Add a bar for a phase of `steps` steps."""
        self._task = self._progress.add_task(name, total=steps, note="")

    def step(self, note: str) -> None:
        """Advance the bar by one step, and show `note` beside it."""
        self._progress.update(self._task, advance=1, note=note)

    def track(self, what: str, iterable: Iterable[T], length: int, /) -> Iterable[T]:
        """Yield the elements of `iterable`, and show them as steps of a phase."""
        self.phase(what, length)
        for element in iterable:
            yield element
            self.step("")


def progress_bars() -> Progress:
    """Make the progress display on standard error."""
    columns = (TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=err)


def convert_backbone(
    backbone: Annotated[str, typer.Argument(help="The backbone, as `lookbook backbones` names it.")],
    target: Annotated[Path, typer.Argument(help="The file to write, ending in .keras.")],
) -> None:
    """Write the ImageNet network of a backbone as a Keras model, with the preprocessing inside.

    The model maps uint8 pixels to 1,000 logits. A recipe can start from the file: `weights: FILE`. The weights come
    from a package or from the download by Keras, so that a machine without a network can use the file of another.

    Examples:

        lookbook convert-backbone efficientnet_lite0 lite0.keras

        lookbook convert-backbone vgg16 vgg16.keras
    """
    quiet_tensorflow()
    from classifier.learning.networks.registry import build_imagenet

    if target.suffix != ".keras":
        raise typer.BadParameter(f"expected a file name ending in .keras, got {target.name!r}")
    build_imagenet(backbone).save(target)
    out.print(f"wrote {target}")


def quiet_tensorflow() -> None:
    """Silence TensorFlow's notes on the processor, which would break the progress bars. Call it before the import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def open_named_artifact(models: Path, text: str) -> Artifact:
    """Open the artifact of `name@version`, or the newest version of `name`.

    Raises:
        ModelUnknown: the folder of models has no such version.
    """
    from classifier.artifact import find_artifact, list_artifacts
    from core.errors import ModelUnknown
    from core.types import ModelRef

    name, at, version = text.partition("@")
    if at:
        return find_artifact(models, ModelRef(name, version))
    versions = [artifact for artifact in list_artifacts(models) if artifact.ref.name == name]
    if not versions:
        raise ModelUnknown(f"no model {name!r} in {models}")
    return versions[-1]
