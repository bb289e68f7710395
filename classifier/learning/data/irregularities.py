"""The irregularities of a dataset. Each is counted by kind, every repair is counted, and none of them stops a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

EXAMPLES = 3
"""Number of paths that are kept as examples of each kind."""


class Irregularity(StrEnum):
    """One kind of irregularity, as `lookbook dataset check` reports it."""

    STYLE_FROM_FOLDER = "style_from_folder"
    """The label file has no style (`[{}]`, or no such member); the folder's name is the label."""
    STYLE_DIFFERS_FROM_FOLDER = "style_differs_from_folder"
    """The label file and the folder do not name the same label; the label file is used."""
    STYLE_ALIAS = "style_alias"
    """A style is spelled in another way that the taxonomy lists, such as 스트릿 for 스트리트, or with other capitals or
    spaces."""
    NOT_A_LABEL = "not_a_label"
    """The style is one that the taxonomy lists as no label (기타); the picture has no label."""
    UNKNOWN_STYLE = "unknown_style"
    """The style is not in the taxonomy; the picture has no label."""
    UNKNOWN_SUB_STYLE = "unknown_sub_style"
    """A sub-style is no label of the taxonomy; it is dropped."""
    SEVERAL_STYLES = "several_styles"
    """The label file names several styles; the first is the label, and the others become sub-labels."""
    ZERO_AREA_BOX = "zero_area_box"
    """A garment box has no width or no height; it is dropped."""
    BOX_OUTSIDE_PICTURE = "box_outside_picture"
    """A garment box reaches beyond the picture; it is cut at the edge, or dropped if it lies outside as a whole."""
    COORDINATE_AS_TEXT = "coordinate_as_text"
    """A coordinate is a string; it is read as a number."""
    INVALID_COORDINATE = "invalid_coordinate"
    """A box or polygon has a coordinate that is missing or is no number, or a polygon has fewer than three points;
    it is dropped."""
    LABEL_WITHOUT_PICTURE = "label_without_picture"
    """A label file or a line of a manifest has no picture."""
    PICTURE_WITHOUT_LABEL = "picture_without_label"
    """A picture has no label file; the folder's name is the label where it is one."""
    UPPERCASE_SUFFIX = "uppercase_suffix"
    """A file name ends in .JPG, .JPEG or .JSON."""
    DECOMPOSED_NAME = "decomposed_name"
    """The name of a file, folder or zip is in Unicode form NFD; it is compared in NFC."""
    ORIGINAL_NAME = "original_name"
    """The files are named by the original picture and not by the identifier."""
    NON_BREAKING_SPACE = "non_breaking_space"
    """A value holds a non-breaking space; it is read as a space."""
    VALUE_VARIANT = "value_variant"
    """A garment attribute is spelled in a known other way, such as 노말 for 노멀."""
    DUPLICATE_IDENTIFIER = "duplicate_identifier"
    """Several label files have the same identifier, which is counted once."""
    REPEATED_NAME = "repeated_name"
    """Several pictures have the same split, folder and name, in several containers or with several suffixes. Each is
    kept, and a single label file of this name labels all of them."""
    TWO_LABELS = "two_labels"
    """The same picture (by its bytes) has two labels. It is counted once, and each of its files keeps its label."""
    BYTE_ORDER_MARK = "byte_order_mark"
    """A label file begins with a byte-order mark."""
    INVALID_LABEL_FILE = "invalid_label_file"
    """A label file is no JSON, or a part of it has not the expected form. That part is ignored; without a readable
    style, the folder's name is the label."""
    UNREADABLE_PICTURE = "unreadable_picture"
    """A picture cannot be decoded; the index lists it as unreadable, and training leaves it out."""
    SIZE_DIFFERS = "size_differs"
    """The label file gives another width or height than the picture has; the picture's own is used, and the garment
    boxes are not scaled."""
    IN_BOTH_SPLITS = "in_both_splits"
    """The same file name stands in Training and in Validation; it is counted once."""
    REFUSED_FILE = "refused_file"
    """A file or a member of a zip is not safe to read and is left out: its name leads out of the zip, it is encrypted,
    damaged, too large or too strongly compressed, or it is a link, a device or a pipe."""
    INVALID_ARCHIVE = "invalid_archive"
    """A zip, or the rest of it, cannot be read."""
    OTHER_FILE = "other_file"
    """A file is neither a picture nor a label file nor a zip; it is not read."""


class IrregularityCounts:
    """Counts irregularities by kind, with the first few paths of each kind as examples."""

    def __init__(self) -> None:
        self.counts = Counter[Irregularity]()
        self.examples: dict[Irregularity, list[str]] = {}

    def add(self, kind: Irregularity, example: str, number: int = 1) -> None:
        """Count `number` irregularities of a kind that were found in `example`."""
        self.counts[kind] += number
        examples = self.examples.setdefault(kind, [])
        if len(examples) < EXAMPLES and example not in examples:
            examples.append(example)

    def add_all(self, found: Mapping[Irregularity, int], example: str) -> None:
        """Count all irregularities of one file."""
        for kind, number in found.items():
            self.add(kind, example, number)

    def to_json(self) -> dict[str, Any]:
        """Return the number and the examples of each kind that was found, in the order of the kinds."""
        return {
            kind.value: {"count": self.counts[kind], "examples": self.examples[kind]}
            for kind in Irregularity
            if self.counts[kind]
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the counts that `to_json` wrote."""
        found = cls()
        for name, row in data.items():
            found.counts[Irregularity(name)] = row["count"]
            found.examples[Irregularity(name)] = list(row["examples"])
        return found
