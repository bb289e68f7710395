"""`python -m benchmarks.input_views`: the cost of `prepare()` for each view, compared with the whole picture.

The pictures are drawn figures of synthetic K-Fashion, with their boxes and polygons, or those of a folder. Each round
prepares all of them in each way, and the ratios are those within a round. One thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from classifier.garments import NO_GARMENTS, Garments
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.reading import ReadingOptions, make_index
from classifier.prepare import InputSpec, View, prepare
from classifier.segmenting import SegmenterFile
from core.settings import PROJECT

SIZE, PICTURES, ROUNDS = 224, 60, 5
SELFIE = PROJECT / "recipes/training/segmenters/selfie_segmentation.tflite"
VIEWS: tuple[View, ...] = ("crop", "mask", "views", "garment")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = make_index(Path(sys.argv[1]), Path(folder, "i.arrow"), ReadingOptions(), lambda rows, _length, /: rows)
    pictures = [(index.read(position), garments_of(index, position)) for position in range(min(PICTURES, len(index)))]
    ways = ways_to_prepare()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        for name, way in ways.items():
            started = time.process_time()
            for data, garments in pictures:
                way(data, garments)
            # The first round loads the segmenter.
            if round_number:
                seconds[name].append(time.process_time() - started)
    for name, found in seconds.items():
        rate = len(pictures) / statistics.median(found)
        ratios = [whole / own for whole, own in zip(seconds["whole"], found, strict=True)]
        print(f"{name:22} {rate:6,.0f} pictures/s  {statistics.median(ratios):.2f} of whole", end="")
        print(f"  ({min(ratios):.2f} to {max(ratios):.2f})")


def garments_of(index: PictureIndex, position: int) -> Garments:
    row = index.row(position)
    return Garments(row.boxes, row.polygons)


def ways_to_prepare() -> dict[str, Callable[[bytes, Garments], object]]:
    segmenter = SegmenterFile.of(SELFIE)
    ways: dict[str, Callable[[bytes, Garments], object]] = {"whole": lambda data, _: prepare(data, InputSpec(SIZE))}
    for view in VIEWS:
        spec, segmented = InputSpec(SIZE, view=view), InputSpec(SIZE, view=view, segmenter=segmenter)
        ways[f"{view}, given"] = lambda data, given, spec=spec: prepare(data, spec, garments=given)  # type: ignore[misc]
        if view != "views":
            ways[f"{view}, segmenter"] = lambda data, _, spec=segmented: prepare(data, spec, garments=NO_GARMENTS)  # type: ignore[misc]
    return ways


if __name__ == "__main__":
    main()
