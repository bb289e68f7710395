"""`<img>` and what stands around it: which files an image of a page may be, and by which rule."""

from __future__ import annotations

import re
from typing import Any

from crawler.extraction.found import Rule
from crawler.extraction.page import Page
from crawler.extraction.variants import Variant, key_of, largest, read_srcset
from crawler.words import words

_PICTURE_NAME = re.compile(r"\.(?:jpe?g|png|webp|avif|gif|bmp)(?:$|[?#])", re.I)
_LAZY = words(
    "data-src data-original data-lazy-src data-lazy data-original-src data-img-src data-image-src data-image data-img "
    "data-echo data-hi-res-src data-high-res-src data-zoom-image data-zoom data-large_image data-large-image "
    "data-large-src data-full-src data-full data-bg data-url ec-data-src lazy-src loadsrc"
)
_LAZY_SRCSET = ("data-srcset", "data-lazy-srcset", "data-original-set", "lazy-srcset")
_MOST = 64


def variants_of_image(page: Page, image: Any) -> list[Variant]:
    """The files that an image may be, the largest first; empty if there are none."""
    return read_image(page, image)[1]


def read_image(page: Page, image: Any) -> tuple[Rule, list[Variant]]:
    """The rule that finds an image's largest file, and its files, that one first.

    `src` counts where nothing else is there, or where its name says that it is the same picture: beside a lazy
    attribute it is mostly a placeholder, which all images of the page share.
    """
    sets = _of_srcsets(page, image, ("srcset",))
    lazy = _of_srcsets(page, image, _LAZY_SRCSET)
    for name in _LAZY:
        reference = image.get(name)
        if (
            reference
            and (name != "data-url" or _PICTURE_NAME.search(reference))
            and not reference.startswith(("{", "["))
        ):
            lazy += _variant(page, reference)
    plain = _variant(page, image.get("src"))
    if lazy or sets:
        keys = {key_of(variant.url) for variant in (*lazy, *sets)}
        plain = [variant for variant in plain if key_of(variant.url) in keys]
    zoomed = _zoomed(page, image)
    offered = [*lazy, *sets, *plain, *zoomed][:_MOST]
    if not offered:
        return Rule.IMG, []
    best = largest(offered)
    return _rule(image, best, lazy, sets), [best, *(variant for variant in offered if variant.url != best.url)]


def _rule(image: Any, best: Variant, lazy: list[Variant], sets: list[Variant]) -> Rule:
    if best in lazy:
        return Rule.LAZY
    if any(ancestor.tag == "noscript" for ancestor in image.iterancestors()):
        return Rule.NOSCRIPT
    return Rule.PICTURE if best in sets else Rule.IMG


def is_picture_name(reference: str) -> bool:
    """Whether a reference ends as a picture's does."""
    return _PICTURE_NAME.search(reference) is not None


def _of_srcsets(page: Page, image: Any, names: tuple[str, ...]) -> list[Variant]:
    texts = [image.get(name) for name in names]
    parent = image.getparent()
    # A <source> that was not closed holds the image in libxml2's tree.
    while parent is not None and parent.tag in {"source", "noscript"}:
        parent = parent.getparent()
    if parent is not None and parent.tag == "picture":
        texts += [source.get(name) for source in parent.iter("source") for name in names]
    found = []
    for text in texts:
        if text:
            found += _candidates(page, text, image.get("width"))
    return found


def _candidates(page: Page, text: str, declared: str | None) -> list[Variant]:
    candidates = []
    for reference, number, descriptor in read_srcset(text):
        url = page.picture(reference)
        if url is not None:
            candidates.append((url, number, descriptor))
    # Only densities: they compare with each other; the width in CSS pixels, if it is given, makes pixels of them.
    css = float(declared) if declared and declared.isdecimal() and len(declared) < 5 else 600.0
    return [Variant(url, number if descriptor == "w" else number * css) for url, number, descriptor in candidates]


def _variant(page: Page, reference: str | None) -> list[Variant]:
    url = page.picture(reference)
    return [Variant(url)] if url else []


def _zoomed(page: Page, image: Any) -> list[Variant]:
    """The file that a link around the image leads to."""
    parent = image.getparent()
    while parent is not None and parent.tag in {"picture", "source", "span", "noscript"}:
        parent = parent.getparent()
    href = parent.get("href") if parent is not None and parent.tag == "a" else None
    return _variant(page, href) if href and is_picture_name(href) else []
