"""Damages valid pictures: cuts them short, flips bits, changes numbers in headers, and moves parts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.corpus import png
from tests.corpus.base import base_pictures
from tests.corpus.case import Case
from tests.corpus.structure import Field, parts

_FLIPS = 12
_LIES_PER_FIELD = 2


def damaged(seed: int) -> Iterator[Case]:
    """Return the damaged pictures. They depend only on the seed and on the libraries that write the valid ones."""
    for name, data in base_pictures().items():
        chance = random.Random(f"{seed} {name}")
        yield from _cut(name, data, chance)
        yield from _flipped(name, data, chance)
        yield from _lying(name, data, chance)
        yield from _moved(name, data)
    yield from _damaged_pixels(random.Random(seed))


def _cut(name: str, data: bytes, chance: random.Random) -> Iterator[Case]:
    """Cut a picture where each part begins and in its middle, or at random places if it has no parts."""
    places = {place for part in parts(data) for place in (part.start, (part.start + part.end) // 2)}
    places |= {1, 2, len(data) - 1} | {chance.randrange(3, len(data)) for _ in range(0 if len(places) > 4 else 10)}
    for place in sorted(place for place in places if 0 < place < len(data)):
        yield Case("cut short", f"cut/{place}/{name}", data[:place])


def _flipped(name: str, data: bytes, chance: random.Random) -> Iterator[Case]:
    """Flip one bit of the header, one bit anywhere, or many bits."""
    for number in range(_FLIPS):
        end, count = ((min(64, len(data)), 1), (len(data), 1), (len(data), 8))[number % 3]
        changed = bytearray(data)
        for _ in range(count):
            changed[chance.randrange(end)] ^= 1 << chance.randrange(8)
        # Without the right checksum, a decoder of PNG would not look at the changed bytes.
        whole = png.with_checksums(bytes(changed)) if data.startswith(png.MAGIC) and number % 2 else bytes(changed)
        yield Case("bits flipped", f"flip/{number}/{name}", whole)


def _lying(name: str, data: bytes, chance: random.Random) -> Iterator[Case]:
    seen: set[str] = set()
    for part in parts(data):
        for field in part.fields:
            label = f"{part.name}-{field.name}"
            if label in seen:
                continue
            seen.add(label)
            for value in _lies(field, data, chance):
                changed = field.write(data, value)
                if data.startswith(png.MAGIC) and field.name != "length":
                    changed = png.with_checksums(changed)
                if changed != data:
                    yield Case("header lies", f"lie/{label}/{value}/{name}", changed)


def _lies(field: Field, data: bytes, chance: random.Random) -> list[int]:
    """Return wrong values for a number: the largest one, and others drawn among those that break readers."""
    true, most = field.read(data), (1 << 8 * field.size) - 1
    others = sorted({0, 1, true + 1, max(0, true - 1), true * 2, most // 2, most // 2 + 1} - {true, most})
    return [most, *chance.sample(others, min(_LIES_PER_FIELD, len(others)))]


def _moved(name: str, data: bytes) -> Iterator[Case]:
    """Leave a part out, repeat it, or exchange it with the next one."""
    found = [part for part in parts(data) if part.end > part.start]
    for number, part in enumerate(found):
        content = data[part.start : part.end]
        label = f"{number}-{part.name}"
        yield Case("parts moved", f"without/{label}/{name}", data[: part.start] + data[part.end :])
        if number % 3 == 0:
            yield Case("parts moved", f"twice/{label}/{name}", data[: part.end] + content + data[part.end :])
        if number % 3 == 1 and number + 1 < len(found) and found[number + 1].start == part.end:
            other = data[part.end : found[number + 1].end]
            moved = data[: part.start] + other + content + data[found[number + 1].end :]
            yield Case("parts moved", f"exchanged/{label}/{name}", moved)


def _damaged_pixels(chance: random.Random) -> Iterator[Case]:
    """Damage only the compressed pixels of PNG files, with right checksums. Half of a picture is no picture."""
    for name, data in base_pictures().items():
        if data.startswith(png.MAGIC):
            pixels = next(part for part in parts(data) if part.name == "IDAT")
            for number in range(3):
                place = chance.randrange(pixels.start + 10, (pixels.start + pixels.end) // 2)
                changed = data[:place] + b"\xff" * (pixels.end - 4 - place) + data[pixels.end - 4 :]
                yield Case("bits flipped", f"pixels/{number}/{name}", png.with_checksums(changed), is_picture=False)
