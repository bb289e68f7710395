"""How Chromium shows a picture: a decoder that shares no code with this service."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Error, Page

_DRAW = """async (data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([bytes]));
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", {colorSpace: "srgb", willReadFrequently: true});
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [canvas.width, canvas.height, btoa(String.fromCharCode(...pixels))];
}"""
"""Draws the first frame, upright, on white, in sRGB."""


def shown_by_chromium(page: Page, data: bytes) -> NDArray[np.uint8] | None:
    """Return the pixels of a small picture, uint8 [height, width, 3]. None if Chromium does not show it."""
    try:
        width, height, pixels = page.evaluate(_DRAW, base64.b64encode(data).decode())
    except Error:
        return None
    return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3]
