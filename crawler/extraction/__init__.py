"""From a page to its products' pictures (docs/crawling.md)."""

from crawler.extraction.extract import extract
from crawler.extraction.found import Extraction, FoundPicture, LeftOut, Links, PageKind, Rule
from crawler.extraction.junk import Repetition

__all__ = ["Extraction", "FoundPicture", "LeftOut", "Links", "PageKind", "Repetition", "Rule", "extract"]
