"""Finds the pictures of products on a page (docs/crawling.md)."""

from crawler.extraction.extract import extract
from crawler.extraction.found import Extraction, FoundPicture, LeftOut, Links, PageKind, Product, Rule
from crawler.extraction.junk import RepeatedImages

__all__ = ["Extraction", "FoundPicture", "LeftOut", "Links", "PageKind", "Product", "RepeatedImages", "Rule", "extract"]
