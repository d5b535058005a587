"""What monitors ask for: whether the process lives, may be used, and how it fares."""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from cartnet.console.answers import respond
from cartnet.console.browser import names_loopback
from cartnet.console.metrics import CONTENT_TYPE
from cartnet.console.requests import Visitor, bearer, header
from cartnet.errors import Refused
from cartnet.topology.address import is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from cartnet.console.channel import HttpRequest
    from cartnet.console.metrics import Meters
    from cartnet.console.report import ClusterReport

_PROXIES: Final = re.compile(rb"forwarded|via|x-real-ip|x-forwarded-.*", re.IGNORECASE)
"""Headers that proxies add: who asks is not the one who is connected."""


class Reporter(Protocol):
    """Who knows the cluster (:class:`cartnet.console.observer.Observer`)."""

    def report(self) -> Awaitable[ClusterReport]: ...


class Monitors:
    """Answers ``/healthz``, ``/readyz`` and ``/metrics``.

    :ivar stopping: the process ends: it is not ready any more.
    """

    def __init__(
        self, reporter: Reporter, meters: Meters, metrics_token: str | None
    ) -> None:
        self.stopping = False
        self._reporter = reporter
        self._meters = meters
        self._metrics_token = metrics_token

    async def healthz(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        return respond(request, msgspec.json.encode({"status": "ok"}))

    async def readyz(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        if self.stopping:
            raise Refused("unavailable", "this console is stopping")
        report = await self._reporter.report()
        without = [group.name for group in report.groups if group.leader is None]
        if without:
            names = ", ".join(without)
            raise Refused(
                "unavailable", f"without a leader: {names}", {"groups": without}
            )
        return respond(request, msgspec.json.encode({"status": "ready"}))

    async def metrics(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        if not _is_here(request):
            token, given = self._metrics_token, bearer(request) or ""
            if token is None or not compare_digest(given.encode(), token.encode()):
                raise Refused(
                    "unauthenticated",
                    "metrics are for this machine, asked by a Host of 127.0.0.1 or"
                    " localhost and through no proxy; else they need the"
                    " configuration's metrics_token, as Authorization: Bearer",
                )
        body = self._meters.exposition(await self._reporter.report())
        return respond(request, body, 200, {"Content-Type": CONTENT_TYPE})


def _is_here(request: HttpRequest) -> bool:
    """Whether a program of this machine asks, by itself.

    A browser of this machine connects from loopback, too, for a page of any site that
    gives a name of its own this machine's address: the Host has that name. So does a
    proxy, for visitors from anywhere.
    """
    return (
        is_loopback(Visitor(request).address)
        and names_loopback(header(request, "Host"))
        and not any(
            _PROXIES.fullmatch(name)
            for name, _ in request.requestHeaders.getAllRawHeaders()
        )
    )
