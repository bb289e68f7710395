"""Reads `<img>` and the elements around it: the files that an image offers, and the rule that finds them."""

from __future__ import annotations

import re
from typing import Any

from crawler.extraction.found import Rule
from crawler.extraction.page import Page
from crawler.extraction.variants import Variant, key_of, largest, read_srcset
from crawler.words import words

_PICTURE_NAME = re.compile(r"\.(?:jpe?g|png|webp|avif|gif|bmp)(?:$|[?#])", re.I)
_LAZY_ATTRIBUTES = words(
    "data-src data-original data-lazy-src data-lazy data-original-src data-img-src data-image-src data-image data-img "
    "data-echo data-hi-res-src data-high-res-src data-zoom-image data-zoom data-large_image data-large-image "
    "data-large-src data-full-src data-full data-bg data-url ec-data-src lazy-src loadsrc"
)
_LAZY_SRCSET_ATTRIBUTES = ("data-srcset", "data-lazy-srcset", "data-original-set", "lazy-srcset")
_MAX_VARIANTS = 64


def variants_of_image(page: Page, image: Any) -> list[Variant]:
    """Return the files that an image offers, the largest first. The list is empty if there are none."""
    return read_image(page, image)[1]


def read_image(page: Page, image: Any) -> tuple[Rule, list[Variant]]:
    """Return the rule that finds the largest file of an image, and all its files, the largest first.

    `src` counts only if no other attribute has a file, or if its name shows that it is the same picture. Next to a lazy
    attribute, it is mostly a placeholder that all images of the page share.
    """
    from_srcset = _srcset_variants(page, image, ("srcset",))
    from_lazy = _srcset_variants(page, image, _LAZY_SRCSET_ATTRIBUTES)
    for name in _LAZY_ATTRIBUTES:
        reference = image.get(name)
        if (
            reference
            and (name != "data-url" or _PICTURE_NAME.search(reference))
            and not reference.startswith(("{", "["))
        ):
            from_lazy += _single_variant(page, reference)
    plain = _single_variant(page, image.get("src"))
    if from_lazy or from_srcset:
        keys = {key_of(variant.url) for variant in (*from_lazy, *from_srcset)}
        plain = [variant for variant in plain if key_of(variant.url) in keys]
    zoom = _zoom_variant(page, image)
    variants = [*from_lazy, *from_srcset, *plain, *zoom][:_MAX_VARIANTS]
    if not variants:
        return Rule.IMG, []
    best = largest(variants)
    others = [variant for variant in variants if variant.url != best.url]
    return _rule(image, best, from_lazy, from_srcset), [best, *others]


def _rule(image: Any, best: Variant, from_lazy: list[Variant], from_srcset: list[Variant]) -> Rule:
    if best in from_lazy:
        return Rule.LAZY
    if any(ancestor.tag == "noscript" for ancestor in image.iterancestors()):
        return Rule.NOSCRIPT
    return Rule.PICTURE if best in from_srcset else Rule.IMG


def is_picture_name(reference: str) -> bool:
    """Return whether a reference ends with the extension of a picture."""
    return _PICTURE_NAME.search(reference) is not None


def _srcset_variants(page: Page, image: Any, names: tuple[str, ...]) -> list[Variant]:
    texts = [image.get(name) for name in names]
    parent = image.getparent()
    # In the tree of libxml2, an unclosed <source> contains the image.
    while parent is not None and parent.tag in {"source", "noscript"}:
        parent = parent.getparent()
    if parent is not None and parent.tag == "picture":
        texts += [source.get(name) for source in parent.iter("source") for name in names]
    found = []
    for text in texts:
        if text:
            found += _srcset_candidates(page, text, image.get("width"))
    return found


def _srcset_candidates(page: Page, text: str, declared: str | None) -> list[Variant]:
    candidates = []
    for reference, number, descriptor in read_srcset(text):
        url = page.picture(reference)
        if url is not None:
            candidates.append((url, number, descriptor))
    # Densities (2x) become pixels by the declared width in CSS pixels. Without one, any value keeps them comparable.
    css_width = float(declared) if declared and declared.isdecimal() and len(declared) < 5 else 600.0
    return [Variant(url, number if descriptor == "w" else number * css_width) for url, number, descriptor in candidates]


def _single_variant(page: Page, reference: str | None) -> list[Variant]:
    url = page.picture(reference)
    return [Variant(url)] if url else []


def _zoom_variant(page: Page, image: Any) -> list[Variant]:
    """Return the picture file to which a link around the image leads."""
    parent = image.getparent()
    while parent is not None and parent.tag in {"picture", "source", "span", "noscript"}:
        parent = parent.getparent()
    href = parent.get("href") if parent is not None and parent.tag == "a" else None
    return _single_variant(page, href) if href and is_picture_name(href) else []
