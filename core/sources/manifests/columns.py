"""The meanings of the columns of a manifest. Case, spaces, underscores and punctuation of their names do not count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from core.item_errors import BadManifest, SourceEnded
from core.products import TEXTS as PRODUCT_FIELDS

URL, MORE_URLS, FILE_NAME, PAGE_URL = "url", "more_urls", "filename", "page_url"
FIELDS = (URL, MORE_URLS, FILE_NAME, "custom_id", PAGE_URL, "alt", "crop", "regions", "metadata")
"""The meanings that a column may have, in addition to the fields of a product (core/products.py)."""

_ALIASES: dict[str, str] = {
    "custom_id": "custom_id, id, item id, external id, reference, ref, 아이디, 관리번호",
    "alt": "alt, alt text, image alt text, image alt, 대체 텍스트",
    "crop": "crop, bbox, bounding box",
    "regions": "regions",
    "metadata": "metadata",
    "product_id": "product_id, parent sku, style id, style code, style number, model code, handle, product code, "
    "goods no, 상품 번호, 상품 코드, 상품 id, 제품 코드, 제품 번호, 품번, 스타일 번호",
    "variant_of": "variant_of, item group id, parent id, parent",
    "sku": "sku, variant sku, sku id, sku code, sku no, item code, item number, article number, artikelnummer, "
    "seller sku, 품목 코드, 자체 상품 코드, 재고 번호",
    "gtin": "gtin, gtin13, gtin14, ean, ean13, upc, isbn, barcode, variant barcode, 바코드",
    "mpn": "mpn, manufacturer part number, part number, 모델번호",
    "brand": "brand, brand name, vendor, manufacturer, 브랜드, 브랜드명, 제조사",
    "title": "title, name, product name, product title, item name, product, 상품명, 제품명, 품명, 이름, 제목",
    "price": "sale price, variant price, price, regular price, current price, 판매가, 할인가, 가격, 판매 가격",
    "list_price": "list price, variant compare at price, compare at price, original price, msrp, rrp, 정가, 소비자가, "
    "원가, 시중가",
    "currency": "currency, currency code, 통화, 화폐",
    "availability": "availability, stock status, in stock, 재고 상태, 판매 상태, 재고",
    "color": "color, colour, color name, 색상, 컬러, 색",
    "size": "size, size name, 사이즈, 치수, 크기",
    "material": "material, fabric, composition, 소재, 재질, 원단",
    "category": "google product category, category, categories, product category, product type, type, 카테고리, 분류, "
    "상품 분류",
    "description": "description, product description, body html, short description, 설명, 상품 설명, 상세 설명",
}
_PICTURES = (
    "image_url, image_link, image src, picture url, photo url, img url, main image url, main image link, main image, "
    "primary image, featured image, image address, image href, images url, image urls, image links, "
    "image, images, img, imgs, picture, pictures, pic, photo, photos, src, 이미지 url, 이미지 주소, 이미지 링크, "
    "이미지 경로, 대표 이미지, 대표 이미지 url, 메인 이미지, 목록 이미지, 상품 이미지, 상품 이미지 url, 제품 이미지, "
    "이미지, 사진, 사진 url, 사진 주소, 사진 링크"
)
_MORE_PICTURES = (
    "additional image link, additional image links, additional image, additional images, additional image url, "
    "additional image urls, other images, gallery, gallery images, media gallery, extra images, variant image, "
    "추가 이미지, 추가 이미지 url, 추가 이미지 링크, 상세 이미지"
)
_ADDRESSES = "url, link, href, address, 주소, 링크"
"""Names of the column with the picture, unless another column has it. Then it is that of the product's page."""
_PAGES = "page_url, product url, product link, page, canonical url, permalink, 상품 url, 상품 링크, 상품 주소, 페이지"
_FILES = (
    "filename, file, file path, path, image file, image name, 파일명, 파일, 파일 이름, 이미지 파일, 이미지명, 파일 경로"
)

_PUNCTUATION = re.compile(r"[\W_]+")
_NAMESPACE = re.compile(r"^\s*g:", re.I)
_NUMBERED = re.compile(r"(.*?)(\d{1,2})(url|link|src)?")
_URL_START = re.compile(r"\s*(https?:)?//", re.I)


def _plain(name: str) -> str:
    """Return a name without case, spaces and punctuation, and without the prefix of a Google feed."""
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", _NAMESPACE.sub("", name)).casefold())


def _list(names: str) -> list[str]:
    return [_plain(name) for name in names.split(",")]


_FIELD_OF = {
    alias: (field, rank) for field, aliases in _ALIASES.items() for rank, alias in enumerate(_list(aliases))
} | {alias: (PAGE_URL, rank) for rank, alias in enumerate(_list(_PAGES))}
"""Alias -> field, and its rank: of two columns with the same meaning, the one with the lower rank has it."""
_PICTURE_RANKS = {alias: rank for rank, alias in enumerate([*_list(_PICTURES), *_list(_ADDRESSES)])}
_ADDRESS_NAMES, _MORE_NAMES = set(_list(_ADDRESSES)), set(_list(_MORE_PICTURES))
_FILE_RANKS = {alias: rank for rank, alias in enumerate([*_list(_FILES), *_list(_PICTURES)])}
_NEVER_FIRST = 1000
"""Rank of the first of the numbered columns of pictures (`image 2`)."""


def looks_like_url(value: object) -> bool:
    return isinstance(value, str) and _URL_START.match(value) is not None


def known_fields() -> set[str]:
    """Return everything that a column may mean."""
    return {*FIELDS, *(field for field in PRODUCT_FIELDS if field != URL)}


class Columns:
    """The meanings of the columns of one manifest: those that the client has given, and those that were understood.

    With `names_files`, the pictures are named by their files (as in an archive), otherwise by their URLs.
    """

    def __init__(self, given: Mapping[str, str] | None = None, *, names_files: bool = False) -> None:
        self.given = dict(given or {})
        self.names_files = names_files
        self.understood: dict[str, str] = {}
        """Column -> field, of the columns of all rows that were read so far. The others are in the items' metadata."""
        self._known: dict[tuple[str, ...], list[str | None]] = {}

    @property
    def picture_field(self) -> str:
        return FILE_NAME if self.names_files else URL

    def fields_of(self, names: Sequence[str], sample: Sequence[object]) -> list[str | None]:
        """Return the field of each column. None: it has no meaning and goes to the metadata of the item.

        `sample` has a value of each column. Values that are URLs decide between several columns of pictures.
        """
        key = tuple(names)
        fields = self._known.get(key)
        if fields is None:
            fields = self._understand(names, sample)
            if len(self._known) < 1000:
                self._known[key] = fields
            self.understood |= {name: field for name, field in zip(names, fields, strict=True) if field is not None}
        return fields

    def count_known(self, names: Sequence[str]) -> int:
        """Return how many of these names have a meaning. 0 if none of them is a column of pictures."""
        fields = self._understand(names, [""] * len(names))
        return sum(field is not None for field in fields) if self.picture_field in fields else 0

    def refusal(self, names: Sequence[str]) -> SourceEnded:
        """Return the error of a table in which no column of pictures is known. It says what to change."""
        shown = ", ".join(repr(name[:40]) for name in names[:10]) or "none"
        example = names[0][:40] if names else "photo"
        wanted = "the names of the picture files (such as filename)" if self.names_files else "the URLs of the pictures"
        hint = "" if self.names_files else " (such as image_url, image_link, photo, url or 이미지)"
        return SourceEnded(
            BadManifest(
                f"expected a column with {wanted}{hint}, got the columns {shown}. Rename the column, or say which one "
                f'it is with columns={{"{example}": "{self.picture_field}"}}'
            )
        )

    def check_given(self, names: Sequence[str]) -> None:
        """Check that the table has the columns that the client has named.

        Raises:
            SourceEnded: one of them is missing.
        """
        existing = {_plain(name) for name in names}
        missing = [name for name in self.given if _plain(name) not in existing]
        if missing:
            shown = ", ".join(repr(name[:40]) for name in names[:20])
            raise SourceEnded(BadManifest(f"columns: expected names among {shown}, got {missing[0]!r}"))

    def _understand(self, names: Sequence[str], sample: Sequence[object]) -> list[str | None]:
        given = {_plain(name): field for name, field in self.given.items()}
        fields: list[str | None] = [given.get(_plain(name)) for name in names]
        self._choose_picture(names, sample, fields)
        ranks: dict[str, tuple[int, int]] = {}
        for number, name in enumerate(names):
            field, rank = _FIELD_OF.get(_plain(name), ("", 0))
            if fields[number] is None and field and field not in fields:
                ranks[field] = min(ranks.get(field, (rank, number)), (rank, number))
        for field, (_, number) in ranks.items():
            fields[number] = field
        self._keep_list_price(names, fields)
        return fields

    def _choose_picture(self, names: Sequence[str], sample: Sequence[object], fields: list[str | None]) -> None:
        """Say which column has the picture, and which ones have further pictures or the page of the product."""
        candidates = [(self._picture_rank(name), number) for number, name in enumerate(names) if fields[number] is None]
        found = [(rank, number) for rank, number in candidates if rank is not None]
        fitting = [(rank, number) for rank, number in found if looks_like_url(sample[number]) != self.names_files]
        further = {
            number for number, name in enumerate(names) if fields[number] is None and _plain(name) in _MORE_NAMES
        }
        if self.picture_field not in fields and (fitting or found):
            fields[min(fitting or found)[1]] = self.picture_field
        elif self.picture_field not in fields and further:
            # `additional_image_link` alone has all the pictures there are.
            fields[min(further)] = self.picture_field
        for _, number in sorted(found):
            is_filled = not sample[number] or looks_like_url(sample[number]) != self.names_files
            if fields[number] is not None or not is_filled:
                continue
            if _plain(names[number]) not in _ADDRESS_NAMES:
                fields[number] = MORE_URLS
            elif PAGE_URL not in fields:
                fields[number] = PAGE_URL
        for number in further:
            fields[number] = fields[number] or MORE_URLS

    def _picture_rank(self, name: str) -> int | None:
        ranks = _FILE_RANKS if self.names_files else _PICTURE_RANKS
        plain = _plain(name)
        if plain in ranks:
            return ranks[plain]
        numbered = _NUMBERED.fullmatch(plain)
        if numbered and numbered[1] in ranks and numbered[1] not in _ADDRESS_NAMES:
            return _NEVER_FIRST + int(numbered[2])
        return None

    @staticmethod
    def _keep_list_price(names: Sequence[str], fields: list[str | None]) -> None:
        """If a sale price is the price, a column `price` is the price before the reduction."""
        for number, name in enumerate(names):
            is_second_price = fields[number] is None and _FIELD_OF.get(_plain(name), ("", 0))[0] == "price"
            if is_second_price and "list_price" not in fields:
                fields[number] = "list_price"
