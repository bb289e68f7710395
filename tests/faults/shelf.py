"""Where the campaign's URLs lead: its own pictures, served on loopback."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.faults.pictures import Picture


class Shelf:
    """A server of pictures that were put on it."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes] = {}
        shelf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = shelf._pictures[self.path]
                self.send_response(200)
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
        path = f"/{picture.number}.jpg"
        self._pictures[path] = picture.data
        return f"http://127.0.0.1:{self._server.server_port}{path}"
