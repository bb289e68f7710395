"""Shared by the tests of the fixture shop: a guarded fetcher that reaches only the shop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.fetching import Fetcher
from tests.shop import Shop


@pytest.fixture(scope="module")
def fetcher(shop: Shop) -> Iterator[Fetcher]:
    """A fetcher for the module's shop."""
    with Fetcher(allow=shop.allow, resolver=shop.resolver) as made:
        yield made
