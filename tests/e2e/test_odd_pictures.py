"""Odd but valid pictures, compared with what Chromium shows. It shares no decoder with this service."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Browser

from core.pictures import load
from tests.corpus.browser import shown_by_chromium
from tests.corpus.odd import odd_pictures

FEWEST = 60
"""Pictures that Chromium shows. It shows no TIFF, HEIC, JPEG 2000 and JPEG XL."""
INEXACT = {
    # Chromium mixes inks of a profile in another way than LittleCMS.
    "cmyk-profile.jpg",
    # On processors with AVX-512, Chromium 156 blends transparent AVIF up to 16 of 255 away from the right value.
    # tests/integration/test_corpus.py compares this picture with the right value, which Pillow meets to 1 of 255.
    "rgba.avif",
}


def test_odd_pictures_look_as_in_a_browser(browser: Browser) -> None:
    page = browser.new_page()
    compared, differences = 0, {}
    for odd in odd_pictures():
        # Chromium ignores EXIF in WebP.
        if ("orientation" in odd.name and odd.name.endswith("webp")) or odd.name in INEXACT:
            continue
        shown = shown_by_chromium(page, odd.data)
        if shown is None:
            continue
        pixels = np.asarray(load(odd.data)[0], int)
        compared += 1
        if pixels.shape != shown.shape or np.abs(pixels - shown).max() > odd.tolerance:
            apart = np.abs(pixels - shown).max() if pixels.shape == shown.shape else "of another size"
            differences[odd.name] = f"{pixels.shape} and {shown.shape}, {apart}"
    page.close()
    assert differences == {}
    assert compared >= FEWEST
