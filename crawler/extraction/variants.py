"""Which URLs are one picture at several sizes, and which of them is the largest. Nothing is guessed: only URLs that the
page contains are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from crawler.words import words

UNSIZED = 5_000
"""The width, in pixels, that a URL without any size in it is taken to have where others have one: the original."""
_WORDS = {
    **dict.fromkeys(["pico", "micro", "xs", "xxs", "tiny"], 50),
    **dict.fromkeys(["thumb", "thumbnail", "thumbs", "thumbnails", "mini"], 100),
    **dict.fromkeys(["small", "sm", "compact"], 200),
    **dict.fromkeys(["medium", "med", "md"], 500),
    **dict.fromkeys(["large", "lg", "grande", "big"], 900),
    **dict.fromkeys(["xl", "xlarge", "zoom", "master", "full", "fullsize", "xxl"], 2_000),
    **dict.fromkeys(["original", "orig"], UNSIZED),
}
_WORD = "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True))
_SUFFIX = re.compile(
    r"[-_@.](?:(?P<w>\d{2,4})x(?P<h>\d{2,4})?(?:q\d{1,3})?|x(?P<high>\d{2,4})|(?P<px>\d{2,4})(?:w|px|q\d{1,3})"
    rf"|(?P<scale>[1-4])x|(?P<word>{_WORD}))(?P<crop>_crop_\w+)?(?=(?:\.[a-z]{{3,5}}){{1,2}}$|$)",
    re.I,
)
_SEGMENT = re.compile(
    rf"(?:(?P<w>\d{{2,4}})x(?P<h>\d{{2,4}})?|w(?P<px>\d{{2,4}})|(?P<word>{_WORD})"
    r"|(?P<commands>(?:[a-z]{1,2}_[\w.:-]+)(?:,[a-z]{1,3}_[\w.:-]+)*))",
    re.I,
)
_COMMAND_WIDTH = re.compile(r"(?:^|,)w_(\d+)")
_SIZES = frozenset(words("w width wid sw imwidth imagewidth maxwidth max-width size sz s resize rs"))
_DRESS = frozenset(
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
    """In pixels as far as is known; 0 if the page does not say, and the URL has to."""

    @property
    def size(self) -> float:
        return self.width or size_in(self.url)


def largest(variants: Iterable[Variant]) -> Variant:
    """The largest; of equals the first. A width that was declared once counts for its URL wherever else that stands."""
    offered = list(variants)
    declared = {variant.url: variant for variant in sorted(offered, key=lambda variant: variant.width) if variant.width}
    return max((declared.get(variant.url, variant) for variant in offered), key=lambda variant: variant.size)


@lru_cache(maxsize=4096)
def size_in(url: str) -> float:
    """The width that a URL speaks of, in pixels; that of an original if it speaks of none."""
    return _taken_apart(url)[1]


@lru_cache(maxsize=4096)
def key_of(url: str) -> str:
    """What the URLs of one picture have in common: everything but sizes, quality, format and scheme."""
    return _taken_apart(url)[0]


def read_srcset(text: str) -> list[tuple[str, float, str]]:
    """The candidates of a srcset: (reference, number, descriptor `w`, `x` or empty).

    References may hold commas, as the HTML standard has it: a candidate ends at a comma behind white space, behind a
    descriptor, or at the end of the reference.
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
def _taken_apart(url: str) -> tuple[str, float]:
    parts = urlsplit(url)
    sizes: list[float] = []
    kept = sorted((name, value) for name, value in parse_qsl(parts.query) if not _dresses(name.lower(), value, sizes))
    *folders, name = parts.path.split("/")
    path = [folder for folder in folders if not _is_size(folder, sizes)]
    suffix = _SUFFIX.search(name)
    while suffix and suffix.start() > 0:
        sizes.append(_suffix_size(suffix))
        name = name[: suffix.start()] + name[suffix.end() :]
        suffix = _SUFFIX.search(name)
    key = f"{parts.netloc}{'/'.join(path)}/{name}?{kept}"
    # Several sizes in one URL (a folder of originals, scaled by a parameter): what is made at last counts.
    return key, min(sizes) if sizes else UNSIZED


def _dresses(name: str, value: str, sizes: list[float]) -> bool:
    if name in _SIZES:
        number = _DIGITS.match(value)
        if number is None and value.lower() not in _WORDS:
            return False
        sizes.append(float(number.group()) if number else _WORDS[value.lower()])
        return True
    return name in _DRESS


def _is_size(folder: str, sizes: list[float]) -> bool:
    match = _SEGMENT.fullmatch(folder)
    if match is None:
        return False
    if match["commands"]:
        width = _COMMAND_WIDTH.search(match["commands"])
        if width:
            sizes.append(float(width[1]))
        return width is not None
    sizes.append(float(match["w"] or match["px"] or 0) or float(_WORDS.get((match["word"] or "").lower(), 0)))
    return True


def _suffix_size(match: re.Match[str]) -> float:
    if match["scale"]:
        # Against an unscaled file of the same name, which is half as large as its @2x.
        return UNSIZED * float(match["scale"])
    if match["word"]:
        return float(_WORDS[match["word"].lower()])
    return float(match["w"] or match["px"] or match["high"])
