"""The section `input` of a training recipe: what the model sees of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from classifier.prepare import InputSpec, View
from classifier.segmenting import SegmenterFile, warm_up


class RecipeSegmenter(BaseModel):
    """The segmenter of pictures without garments. `SegmenterFile` explains the members."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """An ONNX or TFLite file, relative to the recipe's folder."""
    channels: dict[str, tuple[int, ...]] = {}
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def opened(self) -> SegmenterFile:
        """Return the file, after loading it once.

        Raises:
            ArtifactInvalid: it is no segmenter, or a member does not fit it.
        """
        file = SegmenterFile.of(Path(self.file), self.channels, self.mean, self.std)
        warm_up(file)
        return file


class RecipeInput(BaseModel):
    """The part of a picture that the model sees. `InputSpec.view` explains the views."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    view: View = "whole"
    segmenter: RecipeSegmenter | None = None

    @field_validator("segmenter", mode="before")
    @classmethod
    def _accept_a_name(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_the_segmenter(self) -> Self:
        if self.segmenter is None:
            return self
        if self.view == "whole":
            raise ValueError("the view whole shows all of a picture: expected no segmenter")
        if self.view == "views" and not set(self.segmenter.channels) - {"person"}:
            raise ValueError("the view views shows each garment alone: expected channels of garments in the segmenter")
        return self

    def below(self, folder: Path) -> Self:
        """Return the section with the file of the segmenter in a folder."""
        return self if self.segmenter is None else self._with_file(str(folder / self.segmenter.file))

    def without_folder(self) -> Self:
        """Return the section with the bare name of the file, because folders are of one machine."""
        return self if self.segmenter is None else self._with_file(Path(self.segmenter.file).name)

    def _with_file(self, file: str) -> Self:
        assert self.segmenter is not None
        return self.model_copy(update={"segmenter": self.segmenter.model_copy(update={"file": file})})

    def spec(self, size: int) -> InputSpec:
        """Return the input of a network for pictures of `size` pixels.

        Raises:
            ArtifactInvalid: the file is no segmenter.
        """
        return InputSpec(size, view=self.view, segmenter=None if self.segmenter is None else self.segmenter.opened())
