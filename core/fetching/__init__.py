"""The guarded fetcher, which requests URLs that come from strangers (docs/adr/0012-the-guarded-fetcher.md)."""

from core.fetching.budget import FetchLimits
from core.fetching.fetcher import Fetched, Fetcher
from core.fetching.guard import Resolver, system_resolver

__all__ = ["FetchLimits", "Fetched", "Fetcher", "Resolver", "system_resolver"]
