"""Recall and precision of an extraction from the shop's pages."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.extraction import Extraction
from tests.shop.truth import ProductTruth


@dataclass(slots=True)
class Score:
    """The counts of the pages of one kind."""

    pages: int = 0
    expected: int = 0
    """Pictures that an extraction has to find."""
    found: int = 0
    right: int = 0
    """Found pictures that are expected, in the expected file."""
    titles: int = 0
    """Right pictures with the right title."""
    prices: int = 0
    """Right pictures with the right price and currency."""

    def count(self, truths: list[ProductTruth], extraction: Extraction) -> None:
        """Count a page: the products that it has, and what extraction has found on it."""
        truth_of = {picture.url: truth for truth in truths for picture in (*truth.pictures, *truth.also)}
        self.pages += 1
        self.expected += len(truth_of)
        self.found += len(extraction.pictures)
        for picture in extraction.pictures:
            truth = truth_of.get(picture.url)
            if truth is not None:
                self.right += 1
                self.titles += picture.product.title == truth.title
                self.prices += (picture.product.price, picture.product.currency) == (truth.price, truth.currency)

    @property
    def recall(self) -> float:
        return self.right / self.expected if self.expected else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def title(self) -> float:
        return self.titles / self.right if self.right else 0.0

    @property
    def price(self) -> float:
        return self.prices / self.right if self.right else 0.0
