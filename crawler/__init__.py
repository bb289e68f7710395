"""The crawler's floor: the crawl of a shop, extraction, site recipes, sitemaps and feeds, URLs."""
