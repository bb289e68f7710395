"""The server behind the campaign's URLs: its pictures on loopback, one by one and in shops that can be crawled."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.faults.pictures import Picture

_PICTURES_PER_PRODUCT = 4


class Shelf:
    """A server of the files that were put on it."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, bytes]] = {}
        """Media type and content, by path."""
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, data = shelf._files.get(self.path, ("text/plain", b""))
                self.send_response(200 if data else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, name="shelf", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, picture: Picture) -> str:
        """Serve a picture and return its URL."""
        return self._put(f"/{picture.number}.jpg", "application/octet-stream", picture.data)

    def open_shop(self, name: str, pictures: Sequence[Picture]) -> str:
        """Serve a shop that shows these pictures, and return the URL of its sitemap.

        The URL of each picture ends with its index.
        """
        folder = f"/{name.replace(' ', '-')}"
        shown = [
            self._put(f"{folder}/look/{place}.jpg", "image/jpeg", picture.data)
            for place, picture in enumerate(pictures)
        ]
        pages = [
            self._put(
                f"{folder}/product/{first}", "text/html", _page(first, shown[first : first + _PICTURES_PER_PRODUCT])
            )
            for first in range(0, len(shown), _PICTURES_PER_PRODUCT)
        ]
        urls = "".join(f"<url><loc>{page}</loc></url>" for page in pages)
        sitemap = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'
        return self._put(f"{folder}/sitemap.xml", "application/xml", sitemap.encode())

    def _put(self, path: str, kind: str, data: bytes) -> str:
        self._files[path] = (kind, data)
        return f"http://127.0.0.1:{self._server.server_port}{path}"


def _page(number: int, pictures: Sequence[str]) -> bytes:
    offer = {"@type": "Offer", "price": "39.00", "priceCurrency": "EUR"}
    product = {"@type": "Product", "name": f"Product {number}", "image": pictures, "offers": offer}
    return f'<!doctype html><script type="application/ld+json">{json.dumps(product)}</script>'.encode()
