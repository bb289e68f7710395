"""Pictures that show no garment: parts of pictures that come with packages, and drawn things."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import skimage
from PIL import Image, ImageDraw, ImageFilter

_SKIMAGE = (
    *("brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("horse.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg"),
    *("rocket.jpg", "text.png", "clock_motion.png", "color.png"),
)
"""Those pictures of scikit-image that show no clothes."""
_PARTS = 5
"""Parts of each of these pictures, in addition to the whole."""
_SIDE = 512
_SEED = 1

Draw = Callable[[ImageDraw.ImageDraw, random.Random], None]
Colour = tuple[int, int, int]


def strange_pictures(count: int) -> Iterator[bytes]:
    """Yield so many pictures as PNG files, the same ones each time."""
    rng = random.Random(_SEED)
    made = 0
    for path in _package_pictures():
        whole = Image.open(path).convert("RGB")
        for picture in (whole, *(_part(whole, rng) for _ in range(_PARTS))):
            if made < count:
                yield _png(picture)
                made += 1
    for number in range(count - made):
        yield _png(_drawn(_THINGS[number % len(_THINGS)], rng))


def _package_pictures() -> list[Path]:
    folder = Path(str(skimage.__file__)).parent / "data"
    plots = Path(matplotlib.get_data_path()) / "sample_data"
    return [*(folder / name for name in _SKIMAGE), plots / "Minduka_Present_Blue_Pack.png"]


def _part(whole: Image.Image, rng: random.Random) -> Image.Image:
    share = rng.uniform(0.4, 0.8)
    width, height = int(whole.width * share), int(whole.height * share)
    left, top = rng.randint(0, whole.width - width), rng.randint(0, whole.height - height)
    return whole.crop((left, top, left + width, top + height))


def _drawn(thing: Draw, rng: random.Random) -> Image.Image:
    """Draw a thing as a shop would show it: on a light ground, slightly turned, with the noise of a camera."""
    ground = rng.choice([(255, 255, 255), (240, 240, 240), (250, 247, 240)])
    picture = Image.new("RGB", (_SIDE, _SIDE), ground)
    thing(ImageDraw.Draw(picture), rng)
    turned = picture.rotate(rng.uniform(-8, 8), fillcolor=ground).filter(ImageFilter.GaussianBlur(1))
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 4, (_SIDE, _SIDE, 1))
    return Image.fromarray((np.asarray(turned, np.float32) + noise).clip(0, 255).astype(np.uint8))


def _colour(rng: random.Random) -> Colour:
    return rng.randint(20, 235), rng.randint(20, 235), rng.randint(20, 235)


def _lamp(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    foot = _colour(rng)
    draw.polygon([(190, 120), (322, 120), (372, 270), (140, 270)], fill=_colour(rng))
    draw.rectangle((248, 270, 264, 430), fill=foot)
    draw.ellipse((190, 415, 322, 450), fill=foot)


def _chair(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    wood = _colour(rng)
    for box in ((170, 90, 190, 440), (170, 90, 330, 240), (170, 270, 350, 295), (330, 290, 350, 440)):
        draw.rectangle(box, fill=wood)


def _cup(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    colour = _colour(rng)
    draw.rounded_rectangle((160, 170, 330, 400), 30, fill=colour)
    draw.ellipse((310, 210, 400, 330), outline=colour, width=20)


def _bottle(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    glass = _colour(rng)
    draw.rounded_rectangle((200, 200, 312, 460), 25, fill=glass)
    draw.rectangle((236, 90, 276, 210), fill=glass)
    draw.rectangle((200, 270, 312, 370), fill=_colour(rng))


def _house(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    draw.rectangle((130, 230, 382, 440), fill=_colour(rng))
    draw.polygon([(100, 240), (256, 100), (412, 240)], fill=_colour(rng))
    draw.rectangle((230, 330, 282, 440), fill=_colour(rng))


def _car(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    paint = _colour(rng)
    draw.rounded_rectangle((80, 250, 432, 350), 30, fill=paint)
    draw.polygon([(150, 255), (200, 180), (330, 180), (380, 255)], fill=paint)
    for left in (130, 320):
        draw.ellipse((left, 310, left + 75, 385), fill=(30, 30, 30))


def _ball(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    draw.ellipse((130, 130, 390, 390), fill=_colour(rng))
    draw.line((130, 260, 390, 260), fill=_colour(rng), width=10)


def _phone(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    draw.rounded_rectangle((180, 70, 332, 442), 24, fill=(25, 25, 28))
    draw.rectangle((192, 100, 320, 410), fill=_colour(rng))


def _table(draw: ImageDraw.ImageDraw, rng: random.Random) -> None:
    wood = _colour(rng)
    for box in ((90, 210, 422, 240), (105, 240, 123, 430), (390, 240, 408, 430)):
        draw.rectangle(box, fill=wood)


_THINGS: tuple[Draw, ...] = (_lamp, _chair, _cup, _bottle, _house, _car, _ball, _phone, _table)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
