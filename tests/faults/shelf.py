"""Where the campaign's URLs lead: its own pictures, served on loopback, by themselves and in shops to be crawled."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.faults.pictures import Picture

_ON_A_PAGE = 4
"""Pictures that one product of a shop has."""


class Shelf:
    """A server of what was put on it."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[str, bytes]] = {}
        """Type and content, by path."""
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
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, name="shelf", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, picture: Picture) -> str:
        """The URL at which a picture is from now on."""
        return self._put(f"/{picture.number}.jpg", "application/octet-stream", picture.data)

    def open_shop(self, name: str, pictures: Sequence[Picture]) -> str:
        """The URL of the sitemap of a shop that shows these pictures, each at a URL that ends with its place."""
        folder = f"/{name.replace(' ', '-')}"
        shown = [
            self._put(f"{folder}/look/{place}.jpg", "image/jpeg", picture.data)
            for place, picture in enumerate(pictures)
        ]
        pages = [
            self._put(f"{folder}/product/{first}", "text/html", _page(first, shown[first : first + _ON_A_PAGE]))
            for first in range(0, len(shown), _ON_A_PAGE)
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
