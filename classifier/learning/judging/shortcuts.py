"""Shortcuts: signs that a model has learned something else than clothes, such as the backgrounds of one shop.

A model that knows clothes is right if it sees only the garments, and answers by chance if they are hidden. It is about
as good on pictures of one shop or shooting format as on those of another. `examine` measures all of this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from classifier.evaluation import evaluate
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import Track
from classifier.learning.judging.comparison import compare_answers
from classifier.learning.judging.hiding import only_garments, without_garments
from classifier.learning.judging.shooting_formats import shooting_format
from classifier.learning.judging.variants import Original, Variant, VariantScores, as_it_is, score_variants
from classifier.prepare import InputSpec, prepare
from classifier.runtime import Runtime
from classifier.taxonomy import Taxonomy

WHOLE, HIDDEN, ALONE = "whole pictures", "garments hidden", "only the garments"
_VARIANTS: Mapping[str, Variant] = {WHOLE: as_it_is, HIDDEN: without_garments, ALONE: only_garments}
EXAMINED_PICTURES, _DRAW_SEED = 1000, 0
"""The largest number of pictures that are examined for a card, and the seed that draws them."""
LEAST_PICTURES = 20
"""Sources and formats with fewer pictures are put together as OTHERS, because their figures say nothing."""
OTHERS = "others"
SHORTCUTS = "shortcuts"
"""The key of the report in `metrics.json`."""
_HALVINGS = 10
_SIGNIFICANT = 0.01
"""Differences with a smaller p-value are called no chance. Several are tested, so it is less than the usual 0.05."""
_UNFAMILIAR = "A part of it may come from the grey, which is unlike the pictures that the model knows."
_MEASURED_SIDE = 224
"""The long side in pixels at which the format of a picture is guessed."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The figures of some pictures. The intervals are 95 % intervals."""

    name: str
    pictures: int
    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    balanced_interval: tuple[float, float]
    chance: float
    """The accuracy of always giving the commonest label of these pictures."""
    balanced_chance: float
    """The balanced accuracy of any answer that does not depend on the picture: 1 / labels."""

    @property
    def is_above_chance(self) -> bool:
        """Whether one of the intervals lies above chance as a whole."""
        return self.interval[0] > self.chance or self.balanced_interval[0] > self.balanced_chance


@dataclass(frozen=True, slots=True)
class Told:
    """How far a property of a picture tells its label in this dataset, whatever the model does."""

    accuracy: float
    """The accuracy of answering the commonest label of pictures of other products with this property."""
    chance: float
    """The accuracy of always answering the commonest label of all."""

    @property
    def is_telling(self) -> bool:
        """Whether the property gives at least half as many right answers again as chance, and 5 points more."""
        return self.accuracy >= max(1.5 * self.chance, self.chance + 0.05)


@dataclass(frozen=True, slots=True)
class ShortcutReport:
    """Accuracies of a model on parts of the pictures, and on the pictures of each format and shop.

    `parts` has only the whole pictures if no garment is known. `shops` and `shop_tells` are empty and None if the
    dataset does not tell the shops.
    """

    parts: tuple[Slice, ...]
    alone_p_value: float
    """McNemar's test of the answers to whole pictures and to their garments alone; 1 if no garment is known."""
    formats: tuple[Slice, ...]
    format_tells: Told
    shops: tuple[Slice, ...]
    shop_tells: Told | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures and the verdicts."""
        return asdict(self) | {"verdicts": self.verdicts()}

    def verdicts(self) -> list[str]:
        """Return what the figures mean, in sentences."""
        parts = {part.name: part for part in self.parts}
        whole = parts[WHOLE]
        if not whole.is_above_chance:
            return [
                f"The model gets {_right(whole)} of the whole pictures, which is no better than chance "
                f"({whole.chance:.0%}). Such a model shows nothing about shortcuts."
            ]
        sentences = _of_parts(parts, self.alone_p_value)
        sentences += _of_slices(self.formats, self.format_tells, "shooting format", "in {} pictures")
        if self.shop_tells is None:
            return [*sentences, "The dataset does not tell the shops of its pictures."]
        return sentences + _of_slices(self.shops, self.shop_tells, "shop", "in pictures of {}")


def examine_some(runtime: Runtime, index: PictureIndex, spec: InputSpec) -> ShortcutReport | None:
    """Return the report on at most EXAMINED_PICTURES of labelled pictures, drawn at random.

    None if the dataset does not say where their garments are, or if none of them can be read any more.
    """
    drawn = np.random.default_rng(_DRAW_SEED).permutation(len(index))[:EXAMINED_PICTURES]
    some = index.take(np.sort(drawn))
    located = pc.or_(*(pc.greater(pc.list_value_length(some.table.column(name)), 0) for name in ("boxes", "polygons")))
    if not pc.any(located).as_py():
        return None
    report = examine(runtime, some, spec, lambda iterable, _length: iterable)
    return report if any(part.name == HIDDEN for part in report.parts) else None


def examine(runtime: Runtime, index: PictureIndex, spec: InputSpec, track: Track) -> ShortcutReport:
    """Measure a model on labelled pictures, with and without their garments, and for each format and shop."""
    formats: dict[int, str] = {}

    def measured(original: Original, spec: InputSpec) -> NDArray[np.uint8]:
        picture = prepare(original.data, InputSpec(_MEASURED_SIDE)).picture
        formats[positions[original.row.key]] = shooting_format(picture).value
        return as_it_is(original, spec)

    positions = {key: position for position, key in enumerate(index.column("key"))}
    found = score_variants(runtime, index, spec, {**_VARIANTS, WHOLE: measured}, track)
    taxonomy, labels, whole = index.note.taxonomy, index.label_numbers(), found[WHOLE]
    all_products = index.column("product")
    products = [all_products[position] for position in whole.positions.tolist()]
    known = [shop_of(product) for product in products]
    has_shops = len(set(filter(None, known))) > 1
    by_format = [formats[position] for position in whole.positions.tolist()]
    by_shop = [shop or OTHERS for shop in known]
    true = labels[whole.positions]
    return ShortcutReport(
        tuple(
            _slice(name, variant.scores, labels[variant.positions], taxonomy)
            for name, variant in found.items()
            if len(variant.positions)
        ),
        _compare(whole, found[ALONE], labels),
        _slices(whole, true, by_format, taxonomy),
        _told(by_format, products, true),
        _slices(whole, true, by_shop, taxonomy) if has_shops else (),
        _told(by_shop, products, true) if has_shops else None,
    )


def _compare(whole: VariantScores, alone: VariantScores, labels: NDArray[np.int64]) -> float:
    """Return the p-value of the pictures that exist both whole and as their garments alone."""
    if not len(alone.positions):
        return 1.0
    scores = whole.scores[np.isin(whole.positions, alone.positions)]
    return compare_answers(scores, alone.scores, labels[alone.positions]).p_value


def shop_of(product: str) -> str | None:
    """Return the shop of a product: the host of its URL, or the part of `<shop>_<product>` before the first `_`."""
    if host := urlsplit(product).hostname:
        return host
    shop, line, rest = product.partition("_")
    return shop if line and shop and rest else None


def _slice(name: str, scores: NDArray[np.float32], labels: NDArray[np.int64], taxonomy: Taxonomy) -> Slice:
    figures: dict[str, Any] = evaluate(scores, labels, taxonomy)
    counts = np.bincount(labels)
    return Slice(
        name,
        len(labels),
        figures["accuracy"],
        tuple(figures["intervals"]["accuracy"]),
        figures["balanced_accuracy"],
        tuple(figures["intervals"]["balanced_accuracy"]),
        float(counts.max() / len(labels)),
        1 / int((counts > 0).sum()),
    )


def _slices(
    whole: VariantScores, labels: NDArray[np.int64], names: Sequence[str], taxonomy: Taxonomy
) -> tuple[Slice, ...]:
    counts = Counter(names)
    kept = np.array([name if counts[name] >= LEAST_PICTURES else OTHERS for name in names])
    ordered = sorted(set(kept.tolist()), key=lambda name: (name == OTHERS, -int((kept == name).sum()), name))
    return tuple(_slice(name, whole.scores[kept == name], labels[kept == name], taxonomy) for name in ordered)


def _told(names: Sequence[str], products: Sequence[str], labels: NDArray[np.int64]) -> Told:
    """Return how well a name tells the label of a picture.

    The products are halved at random, ten times. The commonest label of each name in one half answers for the other.
    """
    rows, owners = (np.unique(np.array(values), return_inverse=True)[1] for values in (names, products))
    random, right = np.random.default_rng(_DRAW_SEED), 0
    for _ in range(_HALVINGS):
        first = (random.permutation(owners.max() + 1) % 2 == 0)[owners]
        for half in (first, ~first):
            counts = np.zeros((rows.max() + 1, labels.max() + 1), np.int64)
            np.add.at(counts, (rows[half], labels[half]), 1)
            # A name that the half lacks gets the commonest label of all.
            counts[counts.sum(axis=1) == 0] = np.bincount(labels[half], minlength=counts.shape[1])
            right += int((counts.argmax(axis=1)[rows[~half]] == labels[~half]).sum())
    return Told(right / (_HALVINGS * len(labels)), float(np.bincount(labels).max() / len(labels)))


def _p_value(slices: Sequence[Slice]) -> float:
    """Return how often chance alone makes such differences of accuracy between slices (chi-squared test)."""
    right = [round(each.accuracy * each.pictures) for each in slices]
    wrong = [each.pictures - count for each, count in zip(slices, right, strict=True)]
    if len(slices) < 2 or not sum(right) or not sum(wrong):
        return 1.0
    return float(chi2_contingency([right, wrong]).pvalue)


def _of_parts(parts: Mapping[str, Slice], alone_p_value: float) -> list[str]:
    if HIDDEN not in parts:
        return ["The dataset does not say where the garments are, so they can neither be hidden nor shown alone."]
    hidden, alone, whole = parts[HIDDEN], parts[ALONE], parts[WHOLE]
    if hidden.is_above_chance:
        first = (
            f"Without seeing the garments, the model gets {_right(hidden)}; chance is {hidden.chance:.0%}: "
            "it has learned something besides the garments, such as the background."
        )
    else:
        first = (
            f"Without seeing the garments, the model gets {_right(hidden)}; chance is {hidden.chance:.0%}: "
            "there is no sign that it uses the background."
        )
    second = f"With nothing but the garments, it gets {_right(alone)}, and of the whole pictures {whole.accuracy:.0%}"
    if alone_p_value < _SIGNIFICANT and alone.accuracy < whole.accuracy:
        lost = 100 * (whole.accuracy - alone.accuracy)
        return [first, f"{second}: it loses {lost:.0f} points without the surroundings. {_UNFAMILIAR}"]
    return [first, f"{second}: the garments are enough."]


def _of_slices(slices: Sequence[Slice], told: Told, what: str, phrase: str) -> list[str]:
    named = [each for each in slices if each.name != OTHERS]
    sentences = []
    if told.is_telling:
        sentences.append(
            f"In this dataset, the {what} alone tells the label of {told.accuracy:.0%} of the pictures "
            f"(chance is {told.chance:.0%}), so a model can use it as a shortcut."
        )
    if len(named) < 2:
        return [*sentences, f"There are too few pictures to compare one {what} with another."]
    best, worst = (choose(named, key=lambda each: each.accuracy) for choose in (max, min))
    compared = f"the model gets {_right(best)} {phrase.format(best.name)} and {_right(worst)} "
    compared += phrase.format(worst.name)
    p_value = _p_value(named)
    if p_value < _SIGNIFICANT:
        return [
            *sentences,
            f"The accuracy depends on the {what}: {compared} (p = {p_value:.1g}). Some of them may have harder labels.",
        ]
    return [*sentences, f"No {what} stands out: {compared}."]


def _right(part: Slice) -> str:
    low, high = part.interval
    return f"{part.accuracy:.0%} right ({low:.0%} to {high:.0%})"
