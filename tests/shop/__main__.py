"""`python -m tests.shop` runs the shop until it is interrupted, and prints the URLs of its sites."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from tests.shop import pictures
from tests.shop.places import SITES
from tests.shop.shop import running_shop


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.shop", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--products", type=int, default=200, help="number of products of each site")
    parser.add_argument(
        "--visit", type=int, choices=(1, 2), default=1, help="2: some products are gone, changed or new"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0: any free port")
    parser.add_argument("--latency", type=float, default=0.0, help="delay of each answer in seconds")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between the bytes of slow answers")
    parser.add_argument("--log", type=Path, help="file for the access log")
    parser.add_argument("--prepare", action="store_true", help="draw all photos first")
    parser.add_argument(
        "--truth", metavar="SITE", choices=SITES, help="write the truth of a site as JSON lines, and exit"
    )
    given = parser.parse_args()
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    if given.prepare:
        pictures.prepare()
    with running_shop(
        given.seed,
        given.products,
        visit=given.visit,
        port=given.port,
        latency=given.latency,
        pause=given.pause,
        log=given.log,
    ) as shop:
        if given.truth:
            shop.truth(given.truth, shop.browser_url(given.truth)).write(Path("/dev/stdout"))
            return
        print(json.dumps({"port": shop.port}), flush=True)
        for site in SITES:
            print(f"{shop.browser_url(site, '/'):45} {shop.address_url(site, '/')}")
        interrupted.wait()


if __name__ == "__main__":
    main()
