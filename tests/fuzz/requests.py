"""Targets: multipart bodies and crops."""

from __future__ import annotations

import io
import json

from PIL import Image
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from api.intake.forms import StreamingFormParser
from api.schemas.common import CropIn, crop_of
from core.item_errors import ItemError
from core.pictures import cut_out
from core.sources.manifests import manifest_rows
from core.sources.names import MAX_NAME
from core.types import Crop
from tests.forms import KeptFile
from tests.fuzz.judging import Broken, expect, expect_storable
from tests.fuzz.target import Target

WIDTH, HEIGHT = 13, 7


def check_multipart(data: bytes) -> None:
    parser = StreamingFormParser(stream_factory=KeptFile, max_form_parts=20, max_form_memory_size=10_000)
    try:
        _, fields, files = parser.parse(io.BytesIO(data), "multipart/form-data", len(data), {"boundary": "b"})
    except (BadRequest, RequestEntityTooLarge) as error:
        expect_storable(error.description)
        return
    expect(len(files) + len(fields) <= 20, "too many parts")
    for name, file in files.items(multi=True):
        expect(len(file.filename or "") <= MAX_NAME, "too long a name")
        expect_storable(file.filename)
        name.encode()
        expect(len(file.read()) <= len(data), "more bytes than the body has")
    for name, value in fields.items(multi=True):
        (name + value).encode()


def check_crop(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for crop in [*_crops_of_requests(data), *_crops_of_manifests(text), *_crops_of_keys(text)]:
        try:
            part = Image.open(io.BytesIO(cut_out(_PICTURE, crop)))
        except ItemError as error:
            expect(not crop.within(WIDTH, HEIGHT), f"a good crop is refused: {crop}, {error}")
            continue
        expect(crop.within(WIDTH, HEIGHT), f"a crop outside the picture: {crop}")
        expect(part.size == (crop.width, crop.height), f"another size: {crop}, {part.size}")


def _crops_of_requests(data: bytes) -> list[Crop]:
    try:
        crop = crop_of(CropIn.model_validate_json(data))
    except ValidationError:
        return []
    assert crop is not None
    if Crop.from_key(crop.key) != crop:
        raise Broken(f"another crop by its key: {crop}")
    return [crop]


def _crops_of_manifests(text: str) -> list[Crop]:
    row = json.dumps({"url": "https://shop.example/a.jpg", "crop": text, "regions": text})
    given = list(manifest_rows(io.BytesIO(row.encode()), 10))
    regions = [region.box for found in given if found for region in found.regions]
    return [*(found.crop for found in given if found and found.crop), *regions]


def _crops_of_keys(text: str) -> list[Crop]:
    try:
        crop = Crop.from_key(text)
    except ValueError:
        return []
    return [] if crop is None else [crop]


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(file, "PNG")
    return file.getvalue()


_PICTURE = _picture()
_HEAD = b'--b\r\nContent-Disposition: form-data; name="images"; filename='

MULTIPART = Target(
    "multipart",
    check_multipart,
    (
        _HEAD + b'"a.jpg"\r\nContent-Type: image/jpeg\r\n\r\nbytes\r\n--b\r\n'
        b'Content-Disposition: form-data; name="name"\r\n\r\nAutumn\r\n--b--\r\n',
        _HEAD + b"\"=?utf-8?B?7IWU7Lig?=\"; filename*=UTF-8''%EC%85%94%EC%B8%A0.jpg\r\n\r\nx\r\n--b--",
        _HEAD + '"셔츠.jpg"\r\n\r\nx\r\n--b--\r\n'.encode("cp949"),
        b"preamble\r\n"
        + _HEAD
        + b"\"=?cp949?Q?=BC=C5?=\"; filename*0*=utf-7''%2bA; filename*1=b\r\n\r\n\r\n--b--\r\nend",
    ),
    (
        *(
            b"--b",
            b"--b--",
            b"\r\n\r\n",
            b"filename*=",
            b"filename*0*=",
            b"UTF-8''",
            b"utf-7''",
            b"idna''",
            b"=?",
            b"?=",
        ),
        *(
            b"?B?",
            b"?Q?",
            b"%00",
            b"%ED%A0%80",
            b'\\"',
            b"; name=",
            b"Content-Disposition: form-data",
            b"\x00",
            b"\xff",
        ),
        *(b"unicode_escape", b"punycode", b"rot13", b"hex", b"undefined"),
    ),
)
CROP = Target(
    "crop",
    check_crop,
    (
        b'{"x": 1, "y": 2, "width": 3, "height": 4}',
        b"1,2,3,4",
        b"1,2,3x4",
        b'[{"name": "coat", "box": {"x": 0, "y": 0, "width": 13, "height": 7}}]',
        b"0,0,13,7",
    ),
    (
        b"2147483647",
        b"-1",
        b"1e3",
        b"1.0",
        b"999999999",
        b"true",
        b"null",
        b"\xd9\xa1",
        b"NaN",
        b'"x"',
        b"0",
        b"13",
        b"7",
    ),
)
