"""Hashes of the content of tables, which are the same on every machine and after every way of storing a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_BLOCK = 65_536
"""Number of rows that are in memory at the same time."""


def content_hash(table: Any, columns: Sequence[str]) -> str:
    """Return the SHA-256 of the values of some columns of an Arrow table, in the order of the rows, in hexadecimal.

    The bytes of an Arrow file are of no use for this, because the same values can be stored in several ways.
    """
    digest = hashlib.sha256()
    for start in range(0, table.num_rows, _BLOCK):
        block = table.slice(start, _BLOCK)
        for name in columns:
            _add(digest, block.column(name).combine_chunks())
    return digest.hexdigest()


def _add(digest: Any, values: Any) -> None:
    digest.update(len(values).to_bytes(8, "little"))
    digest.update(values.is_valid().to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_struct(values.type):
        for field in values.flatten():
            _add(digest, field)
    elif pa.types.is_list(values.type):
        _add(digest, pc.list_value_length(values))
        _add(digest, pc.list_flatten(values))
    elif pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        _add(digest, pc.binary_length(values))
        digest.update(b"".join(filter(None, values.cast(pa.binary()).to_pylist())))
    else:
        digest.update(values.fill_null(pa.scalar(0).cast(values.type)).to_numpy(zero_copy_only=False).tobytes())
