"""Measure recall and precision of the duplicate search at every threshold, on drawn pictures and on photographs.

Each picture is saved at five sizes in three JPEG qualities. The drawn set shows every garment in many cloths, with the
same folds and the same light. This is harder than any catalog, because only the colour differs. The photographs come
from the folder that BENCH_PHOTOGRAPHS names. Without that variable their earlier figures are kept.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress

from benchmarks.run import read
from classifier.learning.data.synthesis.drawing import Cloth, Part, checks, denim, dots, plain, stripes
from classifier.prepare import InputSpec, prepare
from core.fingerprints import BANDS, MAX_ASPECT_QUOTIENT, MAX_COLOUR_DIFFERENCE, MAX_DISTANCE, Fingerprint
from core.perceptual import fingerprint
from core.pictures import load
from samples import garments
from samples.draw import PAPER, Sample, draw

SCALES = (1.0, 0.75, 0.5, 0.35, 0.22)
"""Sizes of the copies, as shares of the picture's own size."""
QUALITIES = (90, 70, 45)
_DISTANCES = (8, 12, 16, 20, 24, 31, 40)
_COLOURS = (1, 2, 3, 4, 6, 8, 12, 255)
LIMITS = tuple(
    dict.fromkeys(
        [(distance, MAX_COLOUR_DIFFERENCE) for distance in _DISTANCES] + [(MAX_DISTANCE, colour) for colour in _COLOURS]
    )
)
"""The thresholds to measure: how many bits of the hash, and how many levels of colour, may differ."""
PHOTOGRAPHS = "BENCH_PHOTOGRAPHS"
MAX_PHOTOGRAPHS = 1200

_DESIGNS: tuple[Callable[[], list[Part]], ...] = (
    garments.t_shirt,
    garments.longsleeve,
    garments.shirt,
    garments.dress,
    garments.sleeved_dress,
    garments.coat,
    garments.jacket,
    garments.pants,
    garments.shorts,
    garments.skirt,
    garments.hat,
    garments.cap,
    garments.sneaker,
    garments.shoe,
)
_CLOTHS: dict[str, Cloth] = {
    "red": plain((196, 52, 44)),
    "blue": plain((42, 58, 150)),
    "green": plain((62, 104, 82)),
    "white": plain((240, 239, 236)),
    "black": plain((44, 43, 45)),
    "beige": plain((206, 188, 158)),
    "grey": plain((128, 128, 128)),
    "pink": plain((220, 150, 160)),
    "striped": stripes((244, 241, 234), (38, 56, 96), 70),
    "checked": checks((232, 226, 214), (138, 44, 40), 90),
    "dotted": dots((36, 44, 78), (244, 240, 230), 56),
    "denim": denim((74, 104, 150)),
}
_SIZE = (900, 1200)
_SPEC = InputSpec(224)
_COPIES = len(SCALES) * len(QUALITIES)
_COPIES_IN_JOB = (0, 2 * len(QUALITIES) + 1)
"""Indices of the two copies of each picture in the job whose precision is computed: the best and a medium one."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Fingerprints of all copies: hashes uint8 [pictures, copies, 32], colours int16 [.., 3], aspects float [..]."""

    hashes: NDArray[np.uint8]
    colours: NDArray[np.int16]
    aspects: NDArray[np.float64]
    left_out: int
    """Number of pictures without a fingerprint."""

    @classmethod
    def of(cls, found: Sequence[list[tuple[Fingerprint | None, float]]]) -> Copies:
        whole = [copies for copies in found if all(print_ is not None for print_, _ in copies)]
        bytes_ = np.array([[list(print_ or b"") for print_, _ in copies] for copies in whole], np.uint8)
        aspects = np.array([[aspect for _, aspect in copies] for copies in whole])
        return cls(bytes_[:, :, :32], bytes_[:, :, 32:].astype(np.int16), aspects, len(found) - len(whole))

    def reshaped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Copies:
        """The same with every array changed in one way."""
        return Copies(change(self.hashes), change(self.colours), change(self.aspects), self.left_out)


def run(progress: Progress) -> dict[str, Any]:
    """Return, for each set of pictures and each threshold, the recall and the right and wrong pairs of one job."""
    folder = os.environ.get(PHOTOGRAPHS)
    sets: dict[str, Any] = dict((read("duplicates") or {}).get("sets", {}))
    with ProcessPoolExecutor() as pool:
        drawn = [(design, cloth) for design in range(len(_DESIGNS)) for cloth in _CLOTHS]
        task = progress.add_task("duplicates: drawn", total=len(drawn))
        sets["drawn"] = _judged(_advancing(pool.map(_drawn, drawn), partial(progress.advance, task)))
        if folder:
            paths = sorted(Path(folder).rglob("*.jpg"))
            paths = paths[:: -(-len(paths) // MAX_PHOTOGRAPHS)]
            task = progress.add_task("duplicates: photographs", total=len(paths))
            found = pool.map(_photograph, paths, chunksize=16)
            sets["photographs"] = _judged(_advancing(found, partial(progress.advance, task)))
    return {"scales": SCALES, "qualities": QUALITIES, "sets": sets}


def _advancing(found: Iterable[Any], advance: Callable[[], None]) -> list[Any]:
    results = []
    for copies in found:
        results.append(copies)
        advance()
    return results


def _drawn(design_and_cloth: tuple[int, str]) -> list[tuple[Fingerprint | None, float]]:
    design, cloth = design_and_cloth
    # Folds and grain are drawn from the sample's name. All samples share one name, so that only the cloth differs.
    return _copies(draw(Sample("the same", _DESIGNS[design](), _CLOTHS[cloth], PAPER, _SIZE)))


def _photograph(path: Path) -> list[tuple[Fingerprint | None, float]]:
    return _copies(load(path.read_bytes())[0])


def _copies(picture: Image.Image) -> list[tuple[Fingerprint | None, float]]:
    """Return fingerprint and aspect of each copy. The first copy has the largest size and the best quality."""
    copies = []
    for scale in SCALES:
        size = (round(picture.width * scale), round(picture.height * scale))
        scaled = picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture
        for quality in QUALITIES:
            out = io.BytesIO()
            scaled.save(out, "JPEG", quality=quality)
            copies.append((fingerprint(prepare(out.getvalue(), _SPEC).picture), size[0] / size[1]))
    return copies


def _judged(found: Sequence[list[tuple[Fingerprint | None, float]]]) -> dict[str, Any]:
    copies = Copies.of(found)
    same = [_compare(copies, first, second) for first, second in combinations(range(_COPIES), 2)]
    pairs = _Pairs(*(np.concatenate(parts) for parts in zip(*same, strict=True)))
    of_a_job = _pairs_of_a_job(copies)
    rows = []
    for limit in LIMITS:
        alike = pairs.alike(limit)
        right, wrong = of_a_job[limit]
        recall, without_bands = float((alike & pairs.bands).mean()), float(alike.mean())
        rows.append({"limit": limit, "recall": recall, "without_bands": without_bands, "right": right, "wrong": wrong})
    return {
        "pictures": len(copies.hashes),
        "left_out": copies.left_out,
        "pairs": len(pairs.distances),
        "distance": {str(share): float(np.percentile(pairs.distances, share)) for share in (50, 90, 99, 99.9)},
        "colour": {str(share): float(np.percentile(pairs.colours, share)) for share in (50, 90, 99, 99.9)},
        "candidates_at_a_million": 1e6 * _chance_of_a_common_band(copies.hashes[:, 0]),
        "rows": rows,
    }


class _Pairs(NamedTuple):
    """Pairs of copies, and how much the two copies of each pair differ."""

    distances: NDArray[np.int64]
    colours: NDArray[np.int16]
    """The largest difference of red, green and blue."""
    shapes: NDArray[np.bool_]
    bands: NDArray[np.bool_]
    """Whether the two share at least one band."""

    def alike(self, limit: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pairs count as duplicates when `limit` bits and levels of colour may differ."""
        found: NDArray[np.bool_] = (self.distances <= limit[0]) & (self.colours <= limit[1]) & self.shapes
        return found


def _compare(copies: Copies, first: int, second: int) -> _Pairs:
    """Compare the copy `first` of each picture with its copy `second`."""
    left, right = copies.hashes[:, first], copies.hashes[:, second]
    return _Pairs(
        np.bitwise_count(left ^ right).sum(-1, dtype=np.int64),
        np.abs(copies.colours[:, first] - copies.colours[:, second]).max(-1),
        np.abs(np.log(copies.aspects[:, first] / copies.aspects[:, second])) <= np.log(MAX_ASPECT_QUOTIENT),
        (left.reshape(-1, BANDS, 4) == right.reshape(-1, BANDS, 4)).all(-1).any(-1),
    )


def _pairs_of_a_job(copies: Copies) -> dict[tuple[int, int], tuple[int, int]]:
    """Return, by threshold, the number of right and wrong pairs found in a job that holds every picture twice."""
    job = copies.reshaped(lambda part: part[:, _COPIES_IN_JOB].reshape(-1, 1, *part.shape[2:]))
    picture = np.arange(len(job.hashes)) // len(_COPIES_IN_JOB)
    counts = dict.fromkeys(LIMITS, (0, 0))
    for number in range(1, len(job.hashes)):
        pairs = _compare(job.reshaped(partial(_beside, number=number)), 0, 1)
        same = picture[:number] == picture[number]
        for limit, (right, wrong) in counts.items():
            found = pairs.alike(limit) & pairs.bands
            counts[limit] = (right + int((found & same).sum()), wrong + int((found & ~same).sum()))
    return counts


def _beside(part: NDArray[Any], number: int) -> NDArray[Any]:
    """Return pairs of each earlier picture with the picture `number`."""
    return np.stack((part[:number, 0], np.broadcast_to(part[number, 0], part[:number, 0].shape)), axis=1)


def _chance_of_a_common_band(hashes: NDArray[np.uint8]) -> float:
    """Return how many bands two different pictures share on average."""
    values = hashes.reshape(len(hashes), BANDS, 4).copy().view(np.uint32)[:, :, 0]
    common = 0
    for column in values.T:
        _, counts = np.unique(column, return_counts=True)
        common += int((counts * (counts - 1)).sum())
    return common / (len(hashes) * (len(hashes) - 1))
