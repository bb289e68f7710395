"""Images on the shop's pages that show no products (logos, icons, spacers, banners), and the style sheet."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw

SIZES = {
    "logo.png": (240, 60),
    "sprite.png": (32, 640),
    "spacer.gif": (1, 1),
    "pixel.gif": (1, 1),
    "banner.jpg": (1200, 200),
    "badge.jpg": (400, 400),
    "story.jpg": (1200, 800),
    "visa.png": (40, 26),
    "bank.png": (40, 26),
    "chat.png": (32, 32),
    "heart.png": (24, 24),
    "favicon.ico": (32, 32),
}
"""Width and height. A crawler can recognise the badge only because it is on every page, and the story only because its
page sells nothing."""

_LOGO_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="240" height="60"><rect width="240" height="60" fill="#345"/></svg>'
)
_STYLE = b"""body{font:15px sans-serif;margin:1rem auto;max-width:75rem}
.sprite,i{display:none}ul{list-style:none;padding:0}
nav li{display:inline-block;margin-right:1rem}li.card{display:inline-block;width:14rem;vertical-align:top}
main img{max-width:24rem;height:auto}footer img{max-width:8rem;height:auto}header img{max-width:100%;height:auto}
"""


@lru_cache(maxsize=64)
def furniture(name: str) -> tuple[str, bytes] | None:
    """Return media type and bytes of an image or the style sheet, or None if the site has no such file."""
    if name == "logo.svg":
        return "image/svg+xml", _LOGO_SVG
    if name == "shop.css":
        return "text/css", _STYLE
    if name not in SIZES:
        return None
    width, height = SIZES[name]
    image = Image.new("RGB", (width, height), (250, 250, 250))
    pen = ImageDraw.Draw(image)
    step = max(4, min(width, height) // 4)
    for left in range(0, width, step * 2):
        for top in range(0, height, step * 2):
            tint = (sum(map(ord, name)) * 7 + left) % 200
            pen.rectangle((left, top, left + step, top + step), fill=(tint, 90, 200 - tint))
    kind = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "ico": "ICO"}[name.rsplit(".", 1)[1]]
    out = io.BytesIO()
    image.save(out, kind)
    return f"image/{kind.lower()}", out.getvalue()
