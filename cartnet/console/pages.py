"""The pages and what belongs to them, read once and kept in memory.

Assets stand below a hash of them all, so that a browser may keep them for ever and
never mixes those of two releases; pages name that hash and are asked for every time.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

STATIC: Final = "/static/"
"""Where assets are, as the pages name them."""

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_FIRST: Final = "no-cache"
_GZIP_REFUSED: Final = re.compile(r";\s*q=0(\.0*)?$")


@dataclass(frozen=True)
class File:
    """One file as it is served.

    :ivar zipped: the same in gzip, or None where that would not be smaller.
    """

    body: bytes
    zipped: bytes | None
    headers: dict[str, str]
    tag: str

    @classmethod
    def of(cls, name: str, body: bytes, cache_control: str) -> File:
        zipped = gzip.compress(body, mtime=0)
        headers = {
            "Content-Type": TYPES.get(Path(name).suffix, "application/octet-stream"),
            "Cache-Control": cache_control,
            "Vary": "Accept-Encoding",
        }
        smaller = zipped if len(zipped) < len(body) else None
        return cls(body, smaller, headers, sha256(body).hexdigest()[:32])

    def answer(
        self, accept_encoding: str, if_none_match: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a browser that accepts and has these."""
        zipped = self.zipped if _takes_gzip(accept_encoding) else None
        tag = f'"{self.tag}"' if zipped is None else f'"{self.tag}-gzip"'
        headers = {**self.headers, "ETag": tag}
        known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
        if tag in known or "*" in known:
            return 304, headers, b""
        if zipped is None:
            return 200, headers, self.body
        return 200, {**headers, "Content-Encoding": "gzip"}, zipped


class Pages:
    """All files of a folder: ``*.html`` at its top are pages, the rest are assets.

    :ivar version: the hash of all assets.
    """

    def __init__(self, folder: Path) -> None:
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
        pages = [name for name in found if name.endswith(".html")]
        assets = [name for name in found if name not in pages]
        digest = sha256()
        for name in assets:
            digest.update(sha256(name.encode()).digest() + sha256(found[name]).digest())
        self.version = digest.hexdigest()[:16]
        self._assets = {name: File.of(name, found[name], _FOR_EVER) for name in assets}
        here = f"{STATIC}{self.version}/".encode()
        self._pages = {
            name: File.of(name, found[name].replace(STATIC.encode(), here), _ASK_FIRST)
            for name in pages
        }

    def page(self, name: str) -> File | None:
        """A page, such as ``index.html``."""
        return self._pages.get(name)

    def asset(self, version: str, name: str) -> File | None:
        """An asset of this very version, such as ``css/base.css``."""
        return self._assets.get(name) if version == self.version else None


def _takes_gzip(accept_encoding: str) -> bool:
    for each in accept_encoding.split(","):
        name = each.partition(";")[0].strip().lower()
        if name in ("gzip", "*"):
            return _GZIP_REFUSED.search(each.strip()) is None
    return False
