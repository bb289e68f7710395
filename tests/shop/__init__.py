"""A deterministic fashion shop on loopback with everything that a crawler can meet. README.md describes it.

with running_shop(seed=7, products=200) as shop:
    shop.url("json-ld")          # http://json-ld.shop.test:PORT, through shop.resolver
    shop.truth("json-ld")        # what a crawler has to find there
    shop.traps()                 # the hostile URLs and their required outcomes
    shop.log.visits()            # the requests
"""

from tests.shop.catalogue import Catalogue, Product
from tests.shop.log import Connected, Visit, Visitors
from tests.shop.places import SITES
from tests.shop.shop import Shop, TrapTruth, running_shop, shop_process
from tests.shop.truth import KINDS, Kind, ListingTruth, PictureTruth, ProductTruth, SiteTruth

__all__ = [
    "KINDS",
    "SITES",
    "Catalogue",
    "Connected",
    "Kind",
    "ListingTruth",
    "PictureTruth",
    "Product",
    "ProductTruth",
    "Shop",
    "SiteTruth",
    "TrapTruth",
    "Visit",
    "Visitors",
    "running_shop",
    "shop_process",
]
