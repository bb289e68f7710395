"""Plans a synthetic dataset: how many pictures each label has, and which product, shot and split each picture is of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from classifier.learning.data.irregularities import Irregularity
from classifier.learning.data.synthesis.picture import Shot
from classifier.learning.data.synthesis.scenes import Format
from classifier.learning.data.synthesis.styles import BY_ID, STYLES, mates
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

TRAINING, VALIDATION = "Training", "Validation"

STREET_SHARE, RAREST_SHARE = 449_494 / 967_806, 382 / 967_806
"""The shares of the commonest style (street) and of the rarest (punk) in the Training split of the real set."""
LEAST_PICTURES = 3
"""Number of pictures that each label has at least: two in Training and one in Validation."""
_VALIDATION_SHARE = 0.12
_SHARES_BETWEEN = (
    "feminine", "romantic", "modern", "classic", "sexy", "sporty", "resort", "mannish", "retro", "hip-hop", "preppy",
    "country", "tomboy", "sophisticated", "hippie", "military", "genderless", "oriental", "kitsch", "western",
    "avant-garde",
)  # fmt: skip
"""The other styles, the more common ones first. The real order is not known here; this one is invented."""

MALLS = ("codishop", "otjang", "dailyfit", "lookmall", "stylehub", "closet9", "hangang", "mapo")
"""Invented shops. Each has the walls of one colour, and the format that it prefers."""
_FIRST_IDENTIFIER = 1_000_000
_SAME_PRODUCT = 0.45
"""The chance that the next picture shows the product of the one before."""
_SUB_OF_GROUP = 0.4
"""The share of sub-styles that are of the main style's group."""
_FORMAT_SHARES = {Format.STUDIO: 0.5, Format.STREET: 0.3, Format.MIRROR: 0.2}


@dataclass(frozen=True, slots=True)
class Options:
    """The properties of a synthetic dataset."""

    pictures: int = 1000
    seed: int = 0
    difficulty: float = 0.5
    imbalance: float = 1.0
    """0: every label has as many pictures; 1: as in the real set."""
    hybrids: float = 0.4
    """The share of products with a sub-style."""
    near_duplicates: float = 0.1
    """The share of pictures that show the shot of another one, with other crop and brightness."""
    leaks: float = 0.1
    """The share of Validation that is also in Training: half as the same file, half as another shot of the product."""
    shortcut: float = 0.0
    """How surely the label decides the shop and the format of a picture: 0 not at all, 1 always."""
    irregularities: Mapping[Irregularity, int] = field(default_factory=dict)
    size: int = 320
    """The height of pictures in pixels."""


@dataclass(slots=True)
class Planned:
    """A picture of the plan, before it is drawn, and what its files will say."""

    shot: Shot
    split: str
    mall: str
    label: str | None
    """The label that a reader finds, or None for pictures without a label."""
    folder: str
    """The name of the folder of its files."""
    style: str | None
    """The style in its label file, as a word; None for a label file without a style."""
    sub_style: str | None
    identifier: int = 0
    file_name: str = ""
    """The name of its files without suffix, if that is not the identifier."""
    again: bool = False
    """Whether this is the same file again, in another container and without a label file of its own."""
    leak: str = ""
    """`same_file` or `same_product`, for pictures of Validation that Training has too."""
    mark: Irregularity | None = None
    """The irregularity that is planted here."""

    @property
    def name(self) -> str:
        """The original file name, without its suffix: `<mall>_<product>_<shot>`."""
        copy = chr(ord("a") + self.shot.copy - 1) if self.shot.copy else ""
        return f"{self.mall}_{10_000 + self.shot.product}_{self.shot.number + 1}{copy}"


def label_counts(options: Options) -> dict[str, int]:
    """Return the number of pictures of each style. Their sum is `options.pictures`, and each has `LEAST_PICTURES`.

    With imbalance 1, the shares of the commonest and of the rarest style are those of the real set, and the shares
    between them fall geometrically. A smaller imbalance is the power to which these shares are raised.

    Raises:
        DatasetInvalid: there are too few pictures for all labels.
    """
    least = LEAST_PICTURES * len(STYLES)
    if options.pictures < least:
        raise DatasetInvalid(
            f"expected at least {least} pictures, {LEAST_PICTURES} for each of {len(STYLES)} labels; "
            f"got {options.pictures}"
        )
    names = ["street", *_SHARES_BETWEEN, "punk"]
    shares = np.array([STREET_SHARE, *_falling_shares(len(names) - 1)]) ** options.imbalance
    exact = shares / shares.sum() * options.pictures
    counts = np.maximum(np.floor(exact).astype(int), LEAST_PICTURES)
    for index in np.argsort(np.floor(exact) - exact, kind="stable")[: max(0, options.pictures - int(counts.sum()))]:
        counts[index] += 1
    while counts.sum() > options.pictures:
        counts[np.argmax(counts)] -= 1
    return dict(zip(names, counts.tolist(), strict=True))


def _falling_shares(number: int) -> list[float]:
    """Return shares that fall geometrically to the rarest one and whose sum is the rest beside the commonest."""
    low, high = 1.0, 3.0
    for _ in range(60):
        ratio = (low + high) / 2
        total = RAREST_SHARE * (ratio**number - 1) / (ratio - 1)
        low, high = (ratio, high) if total < 1 - STREET_SHARE else (low, ratio)
    return [RAREST_SHARE * low**k for k in reversed(range(number))]


class Planner:
    """Plans the pictures of one dataset."""

    def __init__(self, options: Options, taxonomy: Taxonomy) -> None:
        self.options = options
        self.random = np.random.default_rng([options.seed, 0])
        self.words = {label.id: label.names["ko"] for label in taxonomy.labels}
        """The names of the labels in Korean, as folders and label files have them."""
        self._labels = taxonomy.label_ids
        self._products = 0

    def plan(self) -> list[Planned]:
        """Return the pictures without irregularities, in the order in which they are drawn."""
        counts = label_counts(self.options)
        planned: list[Planned] = []
        for label in self._labels:
            held = max(1, round(_VALIDATION_SHARE * counts[label]))
            planned += self.pictures(label, TRAINING, counts[label] - held)
            planned += self.pictures(label, VALIDATION, held)
        self._leak(planned)
        return planned

    def pictures(self, main: str, split: str, number: int) -> Iterator[Planned]:
        """Yield pictures of a style: products with their shots, and near-duplicates of shots."""
        options, random = self.options, self.random
        shot, mall, numbers, copies = None, "", 0, 0
        for _ in range(number):
            drawn = float(random.random())
            if shot is not None and drawn < options.near_duplicates:
                copies += 1
                shot = replace(shot, copy=copies)
            elif shot is not None and drawn < options.near_duplicates + _SAME_PRODUCT:
                numbers, copies = numbers + 1, 0
                kind = shot.format if random.random() < 0.8 else self._format(main)
                shot = replace(shot, number=numbers, copy=0, format=kind)
            else:
                numbers, copies = 0, 0
                shot, mall = self._product(main)
            sub = None if shot.sub is None else self.words[shot.sub]
            yield Planned(shot, split, mall, main, self.words[main], self.words[main], sub)

    def _product(self, main: str) -> tuple[Shot, str]:
        """Return the first shot of a new product, and its shop."""
        options, random = self.options, self.random
        sub = self._sub_style(main) if random.random() < options.hybrids else None
        tied = random.random() < options.shortcut
        mall = self._labels.index(main) % len(MALLS) if tied else int(random.integers(len(MALLS)))
        hue = mall / len(MALLS) + float(random.normal(0, 0.03))
        product = self._products
        self._products += 1
        shot = Shot(
            options.seed, product, 0, main, sub, self._format(main), round(hue % 1, 4), options.difficulty, options.size
        )
        return shot, MALLS[mall]

    def _sub_style(self, main: str) -> str:
        others = mates(BY_ID[main])
        if not others or self.random.random() >= _SUB_OF_GROUP:
            others = [style for style in STYLES if style.id != main]
        return others[int(self.random.integers(len(others)))].id

    def _format(self, main: str) -> Format:
        kinds = list(_FORMAT_SHARES)
        if self.random.random() < self.options.shortcut:
            return kinds[self._labels.index(main) % len(kinds)]
        return kinds[int(self.random.choice(len(kinds), p=list(_FORMAT_SHARES.values())))]

    def _leak(self, planned: Sequence[Planned]) -> None:
        """Turn pictures of Validation into files or products of Training."""
        options = self.options
        held = [picture for picture in planned if picture.split == VALIDATION]
        total = round(options.leaks * len(held))
        same_files = total // 2 + options.irregularities.get(Irregularity.IN_BOTH_SPLITS, 0)
        kinds = ["same_file"] * same_files + ["same_product"] * (total - total // 2)
        if len(kinds) > len(held):
            raise DatasetInvalid(
                f"expected at most {len(held)} leaks, as many as Validation has pictures; got {len(kinds)}"
            )
        sources: defaultdict[str | None, list[Planned]] = defaultdict(list)
        last: defaultdict[int, int] = defaultdict(int)
        for index in self.random.permutation(len(planned)).tolist():
            picture = planned[index]
            last[picture.shot.product] = max(last[picture.shot.product], picture.shot.number)
            if picture.split == TRAINING:
                sources[picture.label].append(picture)
        chosen = self.random.choice(len(held), len(kinds), replace=False)
        for kind, index in zip(kinds, chosen.tolist(), strict=True):
            picture = held[index]
            if not sources[picture.label]:
                raise DatasetInvalid(f"expected a picture of {picture.label} in Training for each leak; got too few")
            source = sources[picture.label].pop()
            product = source.shot.product
            picture.mall, picture.leak, picture.sub_style = source.mall, kind, source.sub_style
            if kind == "same_file":
                picture.shot = source.shot
            else:
                last[product] += 1
                picture.shot = replace(source.shot, number=last[product], copy=0)


def number_pictures(planned: Sequence[Planned], random: np.random.Generator) -> None:
    """Give each picture its identifier. Their order is random, because it must not tell the labels."""
    files: dict[Shot, int] = {}
    for picture, number in zip(planned, random.permutation(len(planned)).tolist(), strict=True):
        picture.identifier = _FIRST_IDENTIFIER + number
        if picture.split == TRAINING:
            files[picture.shot] = picture.identifier
    for picture in planned:
        if picture.leak == "same_file":
            picture.identifier = files[picture.shot]
