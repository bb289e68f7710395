"""The security headers of every answer."""

from __future__ import annotations

from flask import Flask, Response, g, request

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Inline scripts and styles are forbidden, so that markup that is injected into a page cannot run."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Pages of other sites cannot embed our pictures, not even while the service needs no key.
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HTTPS_ONLY = f"max-age={365 * 24 * 3600}"


def set_security_headers(app: Flask) -> None:
    """Set the security headers on every answer of the application."""
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    response.headers.extend(_HEADERS)
    if "caller" in g and g.caller.signed_item is not None:
        # Signed URLs are made for the pages of others.
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    # Views that send pictures of clients have set a stricter policy already.
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    # A shared cache must not serve one caller's answer to another caller, and caches may even keep a redirect or a 404
    # that does not forbid it.
    response.headers.setdefault("Cache-Control", "private, no-cache")
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = _HTTPS_ONLY
    return response
