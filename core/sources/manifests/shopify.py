"""Shopify's product CSV: further rows of a product have only its handle, and a further picture or variant."""

from __future__ import annotations

from collections.abc import Sequence

_HANDLE, _PICTURE, _VARIANT_PICTURE = "Handle", "Image Src", "Variant Image"
_REPEATED = ("Title", "Vendor", "Product Category", "Type", "Body (HTML)", "Tags", "Status")
"""The columns that only the first row of a product has filled."""


class ContinuedProducts:
    """Completes the rows of an export of Shopify. It leaves the rows of other tables as they are."""

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: number for number, name in enumerate(names)}
        self._is_export = {_HANDLE, _PICTURE} <= self._places.keys()
        self._first: list[str] = []
        self._shown: set[str] = set()
        """The pictures of the present product. A variant names one of them again."""

    def complete(self, values: list[str]) -> list[str] | None:
        """Return the values of a row with those of its product. None: the row has no picture that is new."""
        if not self._is_export:
            return values
        if not self._first or self._value(values, _HANDLE) != self._value(self._first, _HANDLE):
            self._first, self._shown = values, set()
        for name in _REPEATED:
            place = self._places.get(name)
            if place is not None and not values[place]:
                values[place] = self._first[place]
        for name in (_PICTURE, _VARIANT_PICTURE):
            picture = self._value(values, name)
            if picture and picture in self._shown:
                values[self._places[name]] = ""
            elif picture:
                self._shown.add(picture)
        return values if self._value(values, _PICTURE) or self._value(values, _VARIANT_PICTURE) else None

    def _value(self, values: Sequence[str], name: str) -> str:
        place = self._places.get(name)
        return "" if place is None else values[place]
