"""The guarded fetcher: what other people's URLs are asked with (docs/adr/0012-the-guarded-fetcher.md)."""

from core.fetching.budget import FetchLimits
from core.fetching.fetcher import Fetched, Fetcher
from core.fetching.guard import Resolver, system_resolver

__all__ = ["FetchLimits", "Fetched", "Fetcher", "Resolver", "system_resolver"]
