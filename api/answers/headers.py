"""What every answer tells the browser not to do with it."""

from __future__ import annotations

from flask import Flask, Response, request

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""No inline script or style: what gets into a page by mistake does not run there."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Other sites' pages cannot show our pictures either, not even while no key is needed for them.
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HTTPS_ONLY = f"max-age={365 * 24 * 3600}"


def set_security_headers(app: Flask) -> None:
    """Set the headers on every answer of an application."""
    app.after_request(_finish)


def _finish(response: Response) -> Response:
    response.headers.extend(_HEADERS)
    # What shows pictures from outside has a stricter one already.
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    if request.path.startswith("/v1/"):
        # Between here and the browser nobody may keep it for the next one who asks.
        response.headers.setdefault("Cache-Control", "private, no-cache")
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = _HTTPS_ONLY
    return response
