"""A site that draws its pages by script, and whose scripts also ask for addresses inside the network."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.shop.answers import JSON, Answer, Request, redirect, text
from tests.shop.places import INSIDE
from tests.shop.sites import Site

_SHELL = """<!doctype html><html><head><title>Shop</title></head><body><div id="root"></div>
<script src="/app.js"></script></body></html>"""

_PRICED_SHELL = """<!doctype html><html><head><title>Product</title><script type="application/ld+json">
{"@context": "https://schema.org", "@type": "Product", "name": "A product",
"offers": {"@type": "Offer", "price": "39.90", "priceCurrency": "EUR"}}</script></head><body>
<h1>A product</h1><p>39.90 EUR</p><button>Add to cart</button><script src="/app.js"></script></body></html>"""
"""The page of a product before its script runs: it says a price and shows no picture."""

_SCRIPT = """
fetch('/content?path=' + encodeURIComponent(location.pathname + location.search)).then(r => r.json()).then(data => {
  document.documentElement.innerHTML = data.html;
});
"""

_ATTACK = """<!doctype html><html><head><title>Attack</title></head><body><h1>Attack</h1><script>
const targets = %s;
for (const url of targets) {
  fetch(url, {mode: 'no-cors'}).catch(() => 0);
  navigator.sendBeacon && navigator.sendBeacon(url, 'x');
  const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame);
  const script = document.createElement('script'); script.src = url; document.head.append(script);
  const style = document.createElement('link'); style.rel = 'stylesheet'; style.href = url; document.head.append(style);
  const image = new Image(); image.src = url; document.body.append(image);
  try { new WebSocket(url.replace('http', 'ws')); } catch (error) {}
  try { new EventSource(url); } catch (error) {}
}
const peer = new RTCPeerConnection({iceServers: [{urls: 'stun:%s:%d'}]});
peer.createDataChannel('x'); peer.createOffer().then(offer => peer.setLocalDescription(offer));
window.open(targets[0]);
setTimeout(() => { location.href = targets[0]; }, 300);
</script></body></html>"""

_ENDLESS = "<!doctype html><html><body><script>while (true) {}</script></body></html>"


def drawn(site: Site, port: Callable[[], int]) -> Callable[[Request], Answer]:
    """Answer every page with one without pictures and a script, which asks for the content of the page as JSON.

    The script of `/attack` asks for private addresses in every way, also by a redirect. That of `/endless` never ends.
    """

    def answer(request: Request) -> Answer:
        match request.path:
            case "/app.js":
                return text(_SCRIPT, "text/javascript")
            case "/content":
                plain = site(Request("GET", request.query["path"], {}, request.base))
                return Answer(json.dumps({"html": plain.body.decode()}).encode(), JSON)
            case "/attack":
                inside = f"http://{INSIDE}:{port()}"
                targets = [
                    f"{inside}/",
                    "http://169.254.169.254/latest/meta-data/",
                    "/to-the-inside",
                    f"http://[::1]:{port()}/",
                ]
                return text(_ATTACK % (json.dumps([*targets, f"http://localhost:{port()}/"]), INSIDE, port()))
            case "/to-the-inside":
                return redirect(f"http://{INSIDE}:{port()}/redirected", 302)
            case "/endless":
                return text(_ENDLESS)
        return _shell(site(request))

    return answer


def _shell(drawn_page: Answer) -> Answer:
    """Return what is sent instead of a page that a script draws. Other answers are sent as they are."""
    if not drawn_page.type.startswith("text/html") or drawn_page.status != 200:
        return drawn_page
    return text(_PRICED_SHELL if b'"@type": "Product"' in drawn_page.body else _SHELL)
