"""The parts of a training recipe: loss, sampler, optimizer, schedules, phases, and changes of training pictures.

The default of each part changes nothing, so that a recipe shows all that it does, and each part can be switched alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from classifier.learning.networks.heads import HeadKind

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Chance = Annotated[float, Field(ge=0, le=1)]

Sampler = Literal["natural", "square_root", "balanced"]
"""How often the pictures of a label are drawn in an epoch: as often as they are, in proportion to the square root of
their number (Mahajan et al. 2018, "Exploring the Limits of Weakly Supervised Pretraining"), or each label equally."""

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
"""The arithmetic of the backbone in training, as Keras names it. Weights and head are always in float32."""


class Part(BaseModel):
    """A part of a recipe. It cannot change, and has no unknown members."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Loss(Part):
    """The loss: cross-entropy, and what changes it. The members can be combined."""

    label_smoothing: Share = 0.0
    """The share of each target that is spread over all labels (Szegedy et al. 2016)."""
    focal: NotNegative = 0.0
    """Gamma of the focal loss: each term is multiplied by (1 - p)^gamma (Lin et al. 2017, equation 4)."""
    class_balance: Share = 0.0
    """Beta of the class-balanced loss: a picture of a label with n pictures weighs (1 - beta) / (1 - beta^n), scaled
    so that the mean over the labels is 1 (Cui et al. 2019, equation 9)."""
    logit_adjustment: NotNegative = 0.0
    """Tau of the logit-adjusted loss: training adds tau log(share of the label) to the logits (Menon et al. 2021,
    equation 10)."""


class Optimizer(Part):
    """The optimizer of both phases."""

    kind: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: Share = 0.0
    """Decoupled from the gradient (Loshchilov and Hutter 2019)."""
    momentum: Share = 0.0
    """Only for `sgd`."""
    clip_norm: Rate | None = None
    """The largest norm of all gradients together."""

    @model_validator(mode="after")
    def _check_members_of_the_kind(self) -> Self:
        if self.kind == "adam" and self.weight_decay:
            raise ValueError("adam has no weight_decay here: expected the kind adamw")
        if self.kind != "sgd" and self.momentum:
            raise ValueError(f"only sgd has a momentum: expected the kind sgd, got {self.kind}")
        return self


class Constant(Part):
    """The learning rate stays."""

    kind: Literal["constant"] = "constant"


class Halving(Part):
    """The learning rate is halved after every `every` epochs."""

    kind: Literal["halving"]
    every: Positive


class Cosine(Part):
    """The learning rate falls to 0 along a cosine (Loshchilov and Hutter 2017).

    During the share `warm_up` of the steps, it rises to its value before.
    """

    kind: Literal["cosine"]
    warm_up: Share = 0.0


class Restarts(Part):
    """The learning rate falls to 0 along a cosine and starts again (Loshchilov and Hutter 2017, SGDR).

    The first period has `period` epochs, and each further one `growth` times as many as the one before.
    """

    kind: Literal["restarts"]
    period: Positive
    growth: Annotated[float, Field(ge=1)] = 1.0


Schedule = Annotated[Constant | Halving | Cosine | Restarts, Field(discriminator="kind")]


class Head(Part):
    """The head, and the first phase, which trains it on the frozen backbone, on pictures without changes.

    `units` are those of the hidden layer of `two_dense`. Other heads ignore them.
    """

    kind: HeadKind = "straight"
    dropout: Share = 0.2
    """The default is that of the original training of EfficientNet-Lite0."""
    units: Positive = 512
    epochs: Positive
    learning_rate: Rate
    schedule: Schedule = Constant()


class FineTune(Part):
    """The second phase: train the blocks from `from_block` on, too."""

    from_block: int = Field(ge=0)
    size: Positive | None = None
    """The side of the training pictures. The default is the `size` of the recipe."""
    freeze_depthwise: bool = False
    """Whether the loaded kernels of depthwise convolutions stay as they are. TensorFlow computes their gradients slowly
    on a CPU."""
    epochs: Positive
    learning_rate: Rate
    schedule: Schedule = Constant()
    average: Share = 0.0
    """Momentum of the moving average of the weights over the steps, which is evaluated and kept. 0: no average."""


class Distill(Part):
    """Learn the scores of finished models in the second phase, too (classifier/learning/training/distillation.py)."""

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Folders of artifacts, relative to the recipe's folder. The mean of their scores counts."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of each target that comes from the teachers. The rest comes from the label."""
    temperature: Rate = 1.0
    """The calibrated log scores of a teacher are divided by it. Above 1, the scores of the labels come closer."""

    def below(self, folder: Path) -> Self:
        """Return the section with the teachers in a folder."""
        return self.model_copy(update={"teachers": tuple(str(folder / teacher) for teacher in self.teachers)})

    def without_folder(self) -> Self:
        """Return the section with the names and versions of the teachers, because folders are of one machine."""
        names = (f"{Path(teacher).parent.name}@{Path(teacher).name}" for teacher in self.teachers)
        return self.model_copy(update={"teachers": tuple(names)})


class Augment(Part):
    """Random changes of training pictures in the second phase.

    A crop covers a share of the picture between `area` and 1, and its aspect ratio changes by at most the factor
    `aspect`. Brightness, contrast and saturation change by at most their shares.
    """

    area: Annotated[float, Field(gt=0, le=1)] = 1.0
    aspect: Annotated[float, Field(ge=1)] = 1.0
    flip: bool = False
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """The largest rotation of the colours, in turns."""
    erase: Chance = 0.0
    """The chance that a rectangle of 2 % to 33 % of the picture becomes noise (Zhong et al. 2020)."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """The lowest quality of JPEG with which pictures are written and read again; the highest is 100. It is slow."""


class Mixup(Part):
    """Blend a picture and its target with another one (Zhang et al. 2018).

    The share of the other picture is drawn from Beta(alpha, alpha), or evenly from 0 to `max_share`.
    """

    chance: Chance = 1.0
    alpha: Rate | None = None
    max_share: Share | None = None

    @model_validator(mode="after")
    def _check_the_distribution(self) -> Self:
        if (self.alpha is None) == (self.max_share is None):
            raise ValueError("expected either alpha or max_share")
        return self


class CutMix(Part):
    """Replace a rectangle of a picture by that of another one, and its target in proportion (Yun et al. 2019).

    The share of the rectangle is drawn from Beta(alpha, alpha). 1 is the value of the authors.
    """

    chance: Chance = 0.5
    alpha: Rate = 1.0


class Mix(Part):
    """Two ways to mix pictures in the second phase. A picture is changed by one of the two at most."""

    mixup: Mixup | None = None
    cutmix: CutMix | None = None

    @model_validator(mode="after")
    def _check_the_chances(self) -> Self:
        if self.mixup and self.cutmix and self.mixup.chance + self.cutmix.chance > 1:
            raise ValueError(
                "expected chances of mixup and cutmix that sum to 1 at most, got "
                f"{self.mixup.chance:g} + {self.cutmix.chance:g}"
            )
        return self
