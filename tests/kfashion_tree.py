"""A small dataset in the AI Hub form of K-Fashion, drawn here, with the irregularities that a test asks for."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

TRAINING, VALIDATION = "Training", "Validation"
WIDTH, HEIGHT = 96, 128
GARMENTS = ("아우터", "하의", "원피스", "상의")


def picture(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT), quality: int = 90) -> bytes:
    """Return a JPEG of coloured blocks. The seed decides them, so that two seeds are never alike."""
    chance = random.Random(seed)
    image = Image.new("RGB", (12, 16))
    image.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(12 * 16)])
    image = image.resize(size, Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).ellipse((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill="white")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def label(
    identifier: Any,
    style: str | None,
    sub_style: str | None = None,
    *,
    file_name: str | None = None,
    boxes: Mapping[str, list[Any]] | None = None,
    polygons: Mapping[str, list[Any]] | None = None,
    garments: Mapping[str, list[Any]] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> dict[str, Any]:
    """Return the content of a label file with the keys of the AI Hub."""
    name = file_name or f"{identifier}.jpg"
    styles = [{"스타일": style} | ({"서브스타일": sub_style} if sub_style else {})] if style else [{}]
    empty: dict[str, list[Any]] = {garment: [{}] for garment in GARMENTS}
    return {
        "이미지 정보": {
            "이미지 식별자": identifier,
            "이미지 높이": size[1],
            "이미지 파일명": name,
            "이미지 너비": size[0],
        },
        "데이터셋 정보": {
            "파일 생성일자": "2020-10-14",
            "데이터셋 상세설명": {
                "렉트좌표": empty | dict(boxes or {}),
                "폴리곤좌표": empty | dict(polygons or {}),
                "라벨링": {"스타일": styles} | empty | dict(garments or {}),
            },
        },
        "파일 번호": identifier,
        "파일 이름": name,
    }


def box(x: Any = 10, y: Any = 12, width: Any = 30, height: Any = 40) -> dict[str, Any]:
    return {"X좌표": x, "Y좌표": y, "가로": width, "세로": height}


def polygon(*points: tuple[Any, Any]) -> dict[str, Any]:
    """Return the points as the AI Hub lists them: all X before all Y, the last point first."""
    numbered = list(enumerate(points, 1))[::-1]
    return {f"X좌표{n}": x for n, (x, _) in numbered} | {f"Y좌표{n}": y for n, (_, y) in numbered}


class Tree:
    """The files of a dataset, which are then written as folders or as zips."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(
        self,
        style: str,
        stem: str,
        content: dict[str, Any] | bytes | None,
        pixels: bytes | None,
        *,
        split: str = TRAINING,
        suffix: str = ".jpg",
        label_stem: str | None = None,
    ) -> None:
        """Add a picture and its label file. Each may be None for one that is missing."""
        if pixels is not None:
            self.files[f"{split}/원천데이터/{style}/{stem}{suffix}"] = pixels
        if content is not None:
            data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
            self.files[f"{split}/라벨링데이터/{style}/{label_stem or stem}.json"] = data

    def write(self, root: Path) -> Path:
        """Write all files below `K-Fashion 이미지`, and return the folder above it."""
        for path, data in self.files.items():
            target = root / "K-Fashion 이미지" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return root

    def write_zips(self, root: Path, *, also_folders: str = "\0") -> Path:
        """Write a zip for each folder of styles. Paths that begin with `also_folders` become files instead."""
        for path, data in self.files.items():
            split, part, inner = path.split("/", 2)
            folder = root / "K-Fashion 이미지" / split / part
            if path.startswith(also_folders):
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(folder / f"{part}_1.zip", "a", zipfile.ZIP_DEFLATED) as file:
                file.writestr(inner, data)
        return root
