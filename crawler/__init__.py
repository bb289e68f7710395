"""The crawler's floor: extraction, site recipes, sitemaps and feeds, URLs. Nothing is crawled yet."""
