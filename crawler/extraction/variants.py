"""Decides which URLs are the same picture at several sizes, and which of them is the largest.

Only URLs that the page contains are compared. No URL is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from crawler.words import words

UNSIZED = 5_000
"""The width in pixels of a URL without a size, because such a URL is that of the original picture."""
_WIDTH_BY_WORD = {
    **dict.fromkeys(["pico", "micro", "xs", "xxs", "tiny"], 50),
    **dict.fromkeys(["thumb", "thumbnail", "thumbs", "thumbnails", "mini"], 100),
    **dict.fromkeys(["small", "sm", "compact"], 200),
    **dict.fromkeys(["medium", "med", "md"], 500),
    **dict.fromkeys(["large", "lg", "grande", "big"], 900),
    **dict.fromkeys(["xl", "xlarge", "zoom", "master", "full", "fullsize", "xxl"], 2_000),
    **dict.fromkeys(["original", "orig"], UNSIZED),
}
_SIZE_WORD = "|".join(sorted(map(re.escape, _WIDTH_BY_WORD), key=len, reverse=True))
_SIZE_SUFFIX = re.compile(
    r"[-_@.](?:(?P<w>\d{2,4})x(?P<h>\d{2,4})?(?:q\d{1,3})?|x(?P<high>\d{2,4})|(?P<px>\d{2,4})(?:w|px|q\d{1,3})"
    rf"|(?P<scale>[1-4])x|(?P<word>{_SIZE_WORD}))(?P<crop>_crop_\w+)?(?=(?:\.[a-z]{{3,5}}){{1,2}}$|$)",
    re.I,
)
_SIZE_SEGMENT = re.compile(
    rf"(?:(?P<w>\d{{2,4}})x(?P<h>\d{{2,4}})?|w(?P<px>\d{{2,4}})|(?P<word>{_SIZE_WORD})"
    r"|(?P<commands>(?:[a-z]{1,2}_[\w.:-]+)(?:,[a-z]{1,3}_[\w.:-]+)*))",
    re.I,
)
_COMMAND_WIDTH = re.compile(r"(?:^|,)w_(\d+)")
_SIZE_PARAMETERS = frozenset(words("w width wid sw imwidth imagewidth maxwidth max-width size sz s resize rs"))
_FORMAT_PARAMETERS = frozenset(
    words(
        "h height hei sh imheight maxheight max-height q quality qlt dpr fit crop format fm fmt auto sm op_sharpen bg "
        "trim strip sharp mode rect"
    )
)
_DIGITS = re.compile(r"\d{1,5}")


@dataclass(frozen=True, slots=True)
class Variant:
    """One file of a picture."""

    url: str
    width: float = 0.0
    """The width in pixels, or 0 if the page does not declare it. In that case the URL decides."""

    @property
    def size(self) -> float:
        return self.width or size_in(self.url)


def largest(variants: Iterable[Variant]) -> Variant:
    """Return the largest variant, or the first of several equal ones.

    A width that one variant declares counts for all variants with the same URL.
    """
    candidates = list(variants)
    by_width = sorted(candidates, key=lambda variant: variant.width)
    declared = {variant.url: variant for variant in by_width if variant.width}
    return max((declared.get(variant.url, variant) for variant in candidates), key=lambda variant: variant.size)


@lru_cache(maxsize=4096)
def size_in(url: str) -> float:
    """Return the width in pixels that a URL contains, or `UNSIZED` if it contains none."""
    return _key_and_size(url)[1]


@lru_cache(maxsize=4096)
def key_of(url: str) -> str:
    """Return the part that all URLs of one picture share, which excludes size, quality, format and scheme."""
    return _key_and_size(url)[0]


def read_srcset(text: str) -> list[tuple[str, float, str]]:
    """Return the candidates of a srcset as (reference, number, descriptor). The descriptor is `w`, `x` or empty.

    By the HTML standard, references may contain commas. A candidate ends at a comma after white space or after a
    descriptor, or at a comma at the end of the reference.
    """
    found: list[tuple[str, float, str]] = []
    position, end = 0, len(text)
    while position < end and len(found) < 100:
        start = _SKIP.match(text, position)
        position = start.end() if start else position
        reference = _NOT_SPACE.match(text, position)
        if reference is None:
            break
        position = reference.end()
        url = reference.group()
        if url.endswith(","):
            found.append((url.rstrip(","), 1.0, ""))
            continue
        until = text.find(",", position)
        until = end if until < 0 else until
        descriptor = _DESCRIPTOR.search(text, position, until)
        position = until
        found.append((url, float(descriptor[1]), descriptor[2]) if descriptor else (url, 1.0, ""))
    return found


_SKIP = re.compile(r"[\s,]*")
_NOT_SPACE = re.compile(r"\S+")
_DESCRIPTOR = re.compile(r"(\d{1,6}(?:\.\d{1,4})?)([wx])\b")


@lru_cache(maxsize=4096)
def _key_and_size(url: str) -> tuple[str, float]:
    parts = urlsplit(url)
    sizes: list[float] = []
    parameters = parse_qsl(parts.query)
    kept = sorted((name, value) for name, value in parameters if not _is_size_or_format(name.lower(), value, sizes))
    *folders, name = parts.path.split("/")
    path = [folder for folder in folders if not _is_size_folder(folder, sizes)]
    suffix = _SIZE_SUFFIX.search(name)
    while suffix and suffix.start() > 0:
        sizes.append(_suffix_size(suffix))
        name = name[: suffix.start()] + name[suffix.end() :]
        suffix = _SIZE_SUFFIX.search(name)
    key = f"{parts.netloc}{'/'.join(path)}/{name}?{kept}"
    # A URL can have several sizes, for example a folder of originals and a parameter that scales. The smallest counts.
    return key, min(sizes) if sizes else UNSIZED


def _is_size_or_format(name: str, value: str, sizes: list[float]) -> bool:
    if name in _SIZE_PARAMETERS:
        number = _DIGITS.match(value)
        if number is None and value.lower() not in _WIDTH_BY_WORD:
            return False
        sizes.append(float(number.group()) if number else _WIDTH_BY_WORD[value.lower()])
        return True
    return name in _FORMAT_PARAMETERS


def _is_size_folder(folder: str, sizes: list[float]) -> bool:
    match = _SIZE_SEGMENT.fullmatch(folder)
    if match is None:
        return False
    if match["commands"]:
        width = _COMMAND_WIDTH.search(match["commands"])
        if width:
            sizes.append(float(width[1]))
        return width is not None
    sizes.append(float(match["w"] or match["px"] or 0) or float(_WIDTH_BY_WORD.get((match["word"] or "").lower(), 0)))
    return True


def _suffix_size(match: re.Match[str]) -> float:
    if match["scale"]:
        # A file with @2x is twice as large as the file of the same name without a scale.
        return UNSIZED * float(match["scale"])
    if match["word"]:
        return float(_WIDTH_BY_WORD[match["word"].lower()])
    return float(match["w"] or match["px"] or match["high"])
