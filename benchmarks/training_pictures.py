"""`python -m benchmarks.training_pictures`: the batches of training, compared with a plain loop over mapped pixels.

The pixels are a sparse file, so that a million pictures need no disk. Reading them costs what reading from the file
cache costs, and not what a disk costs. Both sides read the same positions and change the pictures in the same way.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from classifier.learning.data.index import IndexNote, PictureIndex
from classifier.learning.data.irregularities import IrregularityCounts
from classifier.learning.data.pictures import Part, Pictures
from classifier.learning.data.reading import kfashion_taxonomy
from classifier.learning.training.augmentation import augment
from classifier.learning.training.batches import BatchOrder, make_batches
from classifier.learning.training.mixing import mix
from classifier.learning.training.recipe import Recipe, read_recipe
from core.settings import PROJECT

PICTURES, SIDE = 1_000_000, 256
ROUNDS, STEPS = 5, 12


def open_pictures(folder: Path) -> Pictures:
    """Return a million pictures of the labels of K-Fashion."""
    taxonomy = kfashion_taxonomy()
    labels = pa.array(taxonomy.label_ids).take(pa.array(np.arange(PICTURES) % len(taxonomy.labels)))
    empty = pa.ListArray.from_arrays(np.zeros(PICTURES + 1, np.int32), pa.array([], pa.string()))
    table = pa.table({"label": labels, "sub_labels": empty, "weight": np.ones(PICTURES, np.float32)})
    note = IndexNote(folder, taxonomy, True, "file", {}, IrregularityCounts())
    pixels = np.memmap(folder / "pixels", np.uint8, "w+", shape=(PICTURES, SIDE, SIDE, 3))
    return Pictures([Part(pixels, np.arange(PICTURES), PictureIndex(table, note))])


def plain(recipe: Recipe, pictures: Pictures, targets: Any, order: BatchOrder, steps: range) -> Iterator[Any]:
    """Yield the same batches in a loop without threads of its own."""

    def change(pixels: Any, wanted: Any, weights: Any, seed: Any) -> Any:
        return mix(recipe.mix, augment(recipe.augment, recipe.size, pixels, seed), wanted, weights, seed)

    changed = tf.function(change)
    for step in steps:
        positions = order.positions(step)
        yield changed(
            pictures.read(positions), targets(positions), pictures.weights[positions], tf.constant(order.draw(step))
        )


def own_memory() -> int:
    """Return the bytes of memory of this process that are not mapped from files."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def main() -> None:
    recipe, _ = read_recipe(PROJECT / "recipes" / "training" / "garments.yaml")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        pictures = open_pictures(Path(folder))
        opened = time.perf_counter()
        order = BatchOrder(pictures.labels, recipe.sampler, recipe.batch, recipe.seed)

        def targets(positions: Any) -> Any:
            return np.eye(23, dtype=np.float32)[pictures.labels[positions]]

        sides: dict[str, Callable[..., Any]] = {"plain loop": plain, "pipeline": make_batches}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        costs: dict[str, list[float]] = {name: [] for name in sides}
        next(iter(make_batches(recipe, pictures, targets, order, range(1))))
        first = time.perf_counter()
        before = own_memory()
        for number in range(ROUNDS + 1):
            for name, make in sides.items():
                steps = range(number * (STEPS + 1), (number + 1) * (STEPS + 1))
                batches = iter(make(recipe, pictures, targets, order, steps))
                # The first batch of each side includes the tracing of its graph.
                next(batches)
                begun, used = time.perf_counter(), time.process_time()
                count = sum(len(batch[0]) for batch in batches)
                rates[name].append(count / (time.perf_counter() - begun))
                costs[name].append(1000 * (time.process_time() - used) / count)
        grown = own_memory() - before
    print(f"{PICTURES:,} pictures of {SIDE} pixels, {PICTURES * SIDE**2 * 3 / 1e9:.0f} GB, {os.cpu_count()} cores")
    print(f"opened in {opened - started:.2f} s, first batch of {recipe.batch} after {first - opened:.2f} s")
    for name, found in rates.items():
        kept = found[1:]
        cost = statistics.median(costs[name][1:])
        print(f"{name}: {statistics.median(kept):,.0f} pictures/s ({min(kept):,.0f} to {max(kept):,.0f})", end=", ")
        print(f"{cost:.2f} ms of a core for each")
    ratios = [pipeline / loop for pipeline, loop in zip(rates["pipeline"][1:], rates["plain loop"][1:], strict=True)]
    print(f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"memory of the process grew by {grown / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
