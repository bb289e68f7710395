"""Manifests: tables of pictures as people have them, read row by row. A bad row does not affect the other rows.

`text` finds the encoding, `tables` reads CSV, `workbooks` Excel, `feeds` XML and `objects` JSONL. `columns` finds out
what the columns mean, and `rows` checks the values of a row.
"""

from core.sources.manifests.columns import Columns
from core.sources.manifests.reading import manifest_rows
from core.sources.manifests.rows import Row, with_row_number

__all__ = ["Columns", "Row", "manifest_rows", "with_row_number"]
