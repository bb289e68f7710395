"""Finds the images of a page, and the files that an image offers: in attributes, styles, and links around it."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from crawler.extraction import lenient_json
from crawler.extraction.found import Rule
from crawler.extraction.page import Page, text_of
from crawler.extraction.variants import UNSIZED, Variant, key_of, largest, read_srcset, size_in
from crawler.words import words

_PICTURE_NAME = re.compile(r"\.(?:jpe?g|png|webp|avif|gif|bmp)(?:$|[?#])", re.I)
_LAZY_ATTRIBUTES = words(
    "data-src data-original data-lazy-src data-lazy data-original-src data-img-src data-image-src data-image data-img "
    "data-echo data-hi-res-src data-high-res-src data-zoom-image data-zoom data-large_image data-large-image "
    "data-large-src data-full-src data-full data-bg data-url ec-data-src lazy-src loadsrc"
)
_LAZY_SRCSET_ATTRIBUTES = ("data-srcset", "data-lazy-srcset", "data-original-set", "lazy-srcset")
_MAX_VARIANTS = 64
_IMAGE_TAGS = frozenset(words("img amp-img input"))
_LINKED_FILE = " or ".join(f"contains(@href, '.{extension}')" for extension in words("jp png webp JP PNG"))
_IMAGES = (
    "//*[self::img or self::amp-img or self::input[@type='image'] or "
    f"self::a[@href and ({_LINKED_FILE}) and not(.//img)]]"
)
_NO_MAIN = "not(//main | //article | //*[@role='main'])"
_BACKGROUNDS = (
    " | //*[contains(@style, 'url(') and contains(@style, 'background')]"
    f"[not(self::body) and (ancestor::main or ancestor::article or ancestor::*[@role='main'] or {_NO_MAIN})]"
)
_CSS_URL = re.compile(r"background[^:;]*:[^;]*?url\(([^()]+)\)")
_MAX_TEXT_ON_BACKGROUND = 60
"""Maximum number of characters on a CSS background that is a picture of its own."""
_SIZED_FILES = ('{"http', '{"//', '{"/')
_MAX_WIDTH = 20_000
_MAX_ZOOM_DEPTH = 4
"""Maximum number of elements between an image and a link around it."""


def image_elements(page: Page) -> list[Any]:
    """Return the elements of a page that show a picture or link to one, in the order of the page.

    A CSS background counts only in the main part of the page and without much text on it, because it is mostly
    decoration elsewhere.
    """
    found = page.find(_IMAGES + (_BACKGROUNDS if page.has("url(") else ""))
    return [element for element in found if element.get("style") is None or _is_picture(element)]


def _is_picture(element: Any) -> bool:
    if element.tag in _IMAGE_TAGS or element.get("href"):
        return True
    return element.find(".//img") is None and len(text_of(element) or "") <= _MAX_TEXT_ON_BACKGROUND


def variants_of_image(page: Page, image: Any) -> list[Variant]:
    """Return the files that an image offers, the largest first. The list is empty if there are none."""
    return read_image(page, image)[1]


def read_image(page: Page, image: Any) -> tuple[Rule, list[Variant]]:
    """Return the rule that finds the largest file of an image, and all its files, the largest first.

    `src` counts only if no other attribute has a file, or if its name shows that it is the same picture. Next to a lazy
    attribute, it is mostly a placeholder that all images of the page share.
    """
    if image.tag not in _IMAGE_TAGS:
        return _read_other(page, image)
    from_srcset = _srcset_variants(page, image, ("srcset",)) + _sized_variants(page, image)
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
    # By convention the linked file is the large one, even if the names of the files do not say so.
    variants = [*zoom, *from_lazy, *from_srcset, *plain][:_MAX_VARIANTS]
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


def _sized_variants(page: Page, image: Any) -> list[Variant]:
    """Return the files in an attribute whose value is a JSON object of URL → [width, height]."""
    found = []
    for text in image.values():
        files = lenient_json.read(text) if text.startswith(_SIZED_FILES) else None
        for reference, size in files.items() if isinstance(files, dict) else ():
            url = page.picture(reference) if isinstance(size, list) and size else None
            if url is not None and isinstance(size[0], int) and 0 < size[0] < _MAX_WIDTH:
                found.append(Variant(url, float(size[0])))
    return found


def _read_other(page: Page, element: Any) -> tuple[Rule, list[Variant]]:
    """Return the file in the CSS background of an element, or the one to which it links."""
    backgrounds = _CSS_URL.findall(element.get("style") or "")
    variants = [variant for reference in backgrounds[:1] for variant in _single_variant(page, reference.strip("\"' "))]
    variants = variants and [*_zoom_variant(page, element), *variants]
    if variants:
        best = largest(variants)
        return Rule.BACKGROUND, [best, *(variant for variant in variants if variant != best)]
    href = element.get("href")
    return Rule.LINK, _single_variant(page, href) if href and is_picture_name(href) else []


def _zoom_variant(page: Page, image: Any) -> list[Variant]:
    """Return the picture file to which a link around the image leads."""
    around = (ancestor.get("href") for ancestor in islice(image.iterancestors(), _MAX_ZOOM_DEPTH))
    href = image.get("href") or next((reference for reference in around if reference), None)
    url = page.picture(href) if href and is_picture_name(href) else None
    return [Variant(url, max(size_in(url), float(UNSIZED)))] if url else []
