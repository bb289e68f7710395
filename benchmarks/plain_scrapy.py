"""The rival of benchmarks/crawling.py: Scrapy as in its tutorial, with its sitemap spider and its ImagesPipeline.

`python -m benchmarks.plain_scrapy SITEMAP FOLDER`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response
from scrapy.spiders import SitemapSpider

CONNECTIONS = 16


class PlainSpider(SitemapSpider):
    """Downloads the pictures that each page's JSON-LD names, and keeps the product's title."""

    name = "plain"

    def parse(self, response: Response, **_: Any) -> Iterator[dict[str, Any]]:
        for text in response.css("script[type='application/ld+json']::text").getall():
            product = json.loads(text)
            found = product.get("image") if isinstance(product, dict) else None
            images = found if isinstance(found, list) else [found] if found else []
            urls = [image.get("url") if isinstance(image, dict) else image for image in images]
            if urls:
                yield {
                    "title": product.get("name"),
                    "page": response.url,
                    "image_urls": [response.urljoin(url) for url in urls if url],
                }


def main() -> None:
    sitemap, folder = sys.argv[1:]
    settings = {
        "ITEM_PIPELINES": {"scrapy.pipelines.images.ImagesPipeline": 1},
        "IMAGES_STORE": folder,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": CONNECTIONS,
        "CONCURRENT_REQUESTS_PER_DOMAIN": CONNECTIONS,
        "DOWNLOAD_DELAY": 0,
        "LOG_LEVEL": "ERROR",
    }
    process = AsyncCrawlerProcess(settings)
    process.crawl(PlainSpider, sitemap_urls=[sitemap])
    process.start()


if __name__ == "__main__":
    main()
