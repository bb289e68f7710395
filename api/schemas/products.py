"""Models of products: what a shop says about what it sells."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field, FiniteFloat
from pydantic.dataclasses import dataclass

from api.schemas.common import Text
from core.products import MAX_BREADCRUMB, MAX_CRUMB, PRICES, TEXTS
from db.views.job import Output

Number = Annotated[int, Field(gt=-(10**15), lt=10**15)] | FiniteFloat
Id = Annotated[Text, Field(max_length=TEXTS["product_id"])]
Name = Annotated[Text, Field(max_length=TEXTS["brand"])]
Short = Annotated[Text, Field(max_length=TEXTS["price"])]
Long = Annotated[Text, Field(max_length=TEXTS["title"])]


# A dataclass for the same reason as `ItemIn`.
@dataclass(slots=True, config=ConfigDict(extra="forbid"))
class ProductIn:
    """The product that a picture shows. Pictures with the same `product_id` show the same product."""

    product_id: Id | None = None
    sku: Id | None = None
    gtin: Short | None = None
    mpn: Short | None = None
    variant_of: Id | None = None
    brand: Name | None = None
    title: Long | None = None
    price: Short | Number | None = None
    list_price: Short | Number | None = None
    currency: Short | None = None
    availability: Short | None = None
    color: Name | None = None
    size: Name | None = None
    material: Name | None = None
    category: Long | None = None
    breadcrumb: (
        Annotated[list[Annotated[Text, Field(max_length=MAX_CRUMB)]], Field(max_length=MAX_BREADCRUMB)] | None
    ) = None
    url: Long | None = None
    description: Annotated[Text, Field(max_length=TEXTS["description"])] | None = None


def product_values(product: ProductIn) -> dict[str, Any] | None:
    """Return the fields that a request gives, with prices as texts. None: it gives none."""
    given = {name: value for name, value in asdict(product).items() if value not in (None, "", [])}
    return {name: str(value) if name in PRICES else value for name, value in given.items()} or None


class ProductOut(Output):
    """A product, as the source of the picture describes it. Any field may be unknown."""

    product_id: str | None = Field(
        description="The same for all pictures of the product in the job. If the source gives no id: its `variant_of`, "
        "`sku`, `gtin`, `mpn` or `url`."
    )
    sku: str | None = None
    gtin: str | None = Field(None, description="The number of its bar code (GTIN, EAN, UPC, ISBN).")
    mpn: str | None = Field(None, description="The number that its maker gave it.")
    variant_of: str | None = Field(None, description="The id of the product of which this is a variant.")
    brand: str | None = None
    title: str | None = None
    price: str | None = Field(None, description="What it costs now, in `currency`.")
    list_price: str | None = Field(None, description="What it cost before a reduction.")
    currency: str | None = None
    availability: str | None = Field(None, description="The short name of schema.org, such as `InStock`.")
    color: str | None = None
    size: str | None = None
    material: str | None = None
    category: str | None = Field(None, description="The category of the shop.")
    breadcrumb: list[str] = Field([], description="The way to the product in the menu of the shop.")
    url: str | None = Field(None, description="The page of the product.")
    description: str | None = None
    sources: dict[str, str] = Field({}, description="Field -> the rule that found it on the page.")
