"""How much of what the shop holds an extraction has found, and how much of what it found is there."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.extraction import Extraction
from tests.shop.truth import ProductTruth


@dataclass(slots=True)
class Score:
    """Of the pages of one kind."""

    pages: int = 0
    there: int = 0
    found: int = 0
    right: int = 0
    """Pictures in the file that is to be found, of those found."""
    titles: int = 0
    prices: int = 0
    """Right pictures with the right title, and with the right price and currency."""

    def count(self, truths: list[ProductTruth], extraction: Extraction) -> None:
        """One page: all products that are to be found on it, and what was found."""
        of = {picture.url: truth for truth in truths for picture in (*truth.pictures, *truth.also)}
        self.pages += 1
        self.there += len(of)
        self.found += len(extraction.pictures)
        for one in extraction.pictures:
            truth = of.get(one.url)
            if truth is not None:
                self.right += 1
                self.titles += one.title == truth.title
                self.prices += (one.price, one.currency) == (truth.price, truth.currency)

    @property
    def recall(self) -> float:
        return self.right / self.there if self.there else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def title(self) -> float:
        return self.titles / self.right if self.right else 0.0

    @property
    def price(self) -> float:
        return self.prices / self.right if self.right else 0.0
