"""What a browser sends along by itself: the page's origin, and the session's cookie."""

from __future__ import annotations

import re
from typing import Final

from cartnet.limits import SESSION_CHARACTERS_MAX
from cartnet.topology.address import is_loopback

COOKIE: Final = "cartnet_session"
SECURE_COOKIE: Final = "__Host-cartnet_session"

_HOST: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::[0-9]*)?")

TOKEN: Final = re.compile(rf"[!-~]{{1,{SESSION_CHARACTERS_MAX}}}")
"""What a session's token looks like, at most."""


def cookie_name(*, secure: bool) -> str:
    """The name of the session's cookie; ``secure``: over TLS."""
    return SECURE_COOKIE if secure else COOKIE


def is_foreign(origin: str | None, host: str | None, *, secure: bool) -> bool:
    """Say whether a request comes from another site's page.

    Programs send no origin, and may come. ``null`` is nobody's own.

    :param origin: the ``Origin`` header, if any.
    :param host: the ``Host`` header, which browsers do not let a page choose.
    """
    if origin is None:
        return False
    scheme, port = ("https", ":443") if secure else ("http", ":80")
    own = f"{scheme}://{(host or '').lower()}"
    return not host or origin.lower().removesuffix(port) != own.removesuffix(port)


def names_loopback(host: str | None) -> bool:
    """Say whether a ``Host`` header names this machine as only itself can reach it."""
    found = _HOST.fullmatch(host or "")
    return found is not None and is_loopback((found[1] or found[2]).lower())


def session_in(cookies: str | None, *, secure: bool) -> str | None:
    """Find the session in a ``Cookie`` header; whether it is good is not known."""
    for cookie in (cookies or "").split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == cookie_name(secure=secure):
            return value if TOKEN.fullmatch(value) else None
    return None
