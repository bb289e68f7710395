"""Files of forms in memory, for tests of the parser of forms."""

from __future__ import annotations

import io


class KeptFile(io.BytesIO):
    """A file of a form, as the parser passes it on."""

    def __init__(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None,
        content_length: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__()
