"""The crawler's floor: spiders, site recipes and extraction will live here. Nothing is crawled yet."""
