"""Klein's routes: the API's table, the pages, and what monitors ask for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from cartnet.checkout.waiting import within
from cartnet.console.answers import respond, respond_refused
from cartnet.console.browser import cookie_name, session_in
from cartnet.console.errors import Unfit
from cartnet.console.openapi import document
from cartnet.console.requests import Visitor, header, read_call
from cartnet.console.routes import PREFIX, ROUTES, Session, Whoami
from cartnet.errors import Refused
from cartnet.limits import (
    HTTP_REQUESTS_MAX,
    OLD_SESSION_SECONDS_MAX,
    SESSION_SECONDS_MAX,
)
from cartnet.wire.requests import Request
from cartnet.wire.shown import shown

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger
    from twisted.web.resource import IResource

    from cartnet.console.channel import HttpRequest
    from cartnet.console.monitors import Monitors
    from cartnet.console.pages import File, Pages
    from cartnet.console.routes import Route
    from cartnet.replica.ports import Caller

PAGES: Final = {"/": "index.html", "/operator": "operator.html"}
NOT_FOUND: Final = "404.html"
FAVICON: Final = "icon.svg"

_METHODS: Final = {b"/api/v1/inventory/reset": ("POST",)}


class Calls(Protocol):
    """Who answers calls (:class:`cartnet.console.calls.ConsoleCalls`)."""

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Fire with a call's ``ok``; fail with :class:`~cartnet.errors.Refused`."""


class Api:
    """Answers HTTP requests.

    :ivar resource: what Twisted's site renders.
    """

    def __init__(
        self,
        calls: Calls,
        monitors: Monitors,
        pages: Pages,
        clock: IReactorTime,
        log: Logger,
    ) -> None:
        self._in_hand: set[Deferred[bytes]] = set()
        self._idle: list[Deferred[None]] = []
        self._calls = calls
        self._pages = pages
        self._clock = clock
        self._log = log
        self._openapi = {
            secure: msgspec.json.encode(document(secure=secure))
            for secure in (False, True)
        }
        self._app = app = Klein()
        app.url_map.merge_slashes = False
        for route in ROUTES:
            self._serve(route.method, f"{PREFIX}{route.path}", self._answering(route))
        self._serve("GET", f"{PREFIX}/openapi.json", self._describe)
        for path in PAGES:
            self._serve("GET", path, self._page)
        self._serve("GET", "/operator/", self._to_operator)
        self._serve("GET", "/static/{version}/{path:name}", self._asset)
        self._serve("GET", "/favicon.ico", self._favicon)
        self._serve("GET", "/healthz", monitors.healthz)
        self._serve("GET", "/readyz", monitors.readyz)
        self._serve("GET", "/metrics", monitors.metrics)
        app.handle_errors(HTTPException)(self._no_route)
        self.resource: IResource = app.resource()

    def idle(self) -> Deferred[None]:
        """Fire once no request is without its answer."""
        if not self._in_hand:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    # --- Klein -----------------------------------------------------------------------

    def _serve(
        self,
        method: str,
        path: str,
        answer: Callable[[HttpRequest, Mapping[str, str]], Awaitable[bytes]],
    ) -> None:
        rule = re.sub(r"{(\w+:)?(\w+)}", r"<\1\2>", path)

        def handler(request: HttpRequest, **in_path: str) -> Deferred[bytes]:
            request.route = path
            return self._finish(request, answer(request, in_path))

        self._app.route(rule, methods=[method], endpoint=f"{method} {path}")(handler)

    def _finish(
        self, request: HttpRequest, answering: Awaitable[bytes]
    ) -> Deferred[bytes]:
        """See an answer through, whatever Klein does.

        It cancels a handler whose client leaves, even between a commit and what has to
        follow it. What is returned here may be cancelled; the work goes on.
        """

        async def answered() -> bytes:
            try:
                return await answering
            except Exception:
                return self._refuse(request, Failure())

        def done(body: bytes) -> None:
            self._in_hand.discard(working)
            if not answer.called:
                answer.callback(body)
            if not self._in_hand:
                waiting, self._idle = self._idle, []
                for idle in waiting:
                    idle.callback(None)

        answer: Deferred[bytes] = Deferred()
        working = Deferred.fromCoroutine(answered())
        self._in_hand.add(working)
        working.addCallback(done)
        return answer

    def _no_route(self, request: Any, failure: Failure) -> bytes:
        error = failure.value
        path = shown(unquote(request.path.decode("latin-1")))
        refused = Refused("not_found", f"there is nothing at {path}")
        if isinstance(error, MethodNotAllowed):
            # A path without placeholders is described by itself, though it may be an
            # item's as well.
            methods = _METHODS.get(request.path) or error.valid_methods or ()
            allowed = ", ".join(sorted(methods))
            refused = Unfit(
                405,
                f"{path} takes {allowed}, not {shown(request.method)}",
                {"Allow": allowed},
            )
        elif not request.path.startswith(b"/api/"):
            page = self._pages.page(NOT_FOUND)
            if page is not None and "text/html" in (header(request, "Accept") or ""):
                return self._not_found(request, page)
        return respond_refused(request, refused)

    def _refuse(self, request: HttpRequest, failure: Failure) -> bytes:
        """Answer what went wrong; what is our own fault is for the log alone."""
        refused = failure.value
        if not isinstance(refused, Refused):
            self._log.failure(
                "request {id} broke: {method} {route}",
                failure,
                id=request.id,
                method=shown(request.method),
                route=request.route,
            )
            refused = Refused(
                "internal", "something broke; the log has it by the request's id"
            )
        elif refused.code == "internal":
            self._log.error(
                "request {id}: {message}", id=request.id, message=refused.message
            )
        return respond_refused(request, refused)

    # --- The API ---------------------------------------------------------------------

    def _answering(
        self, route: Route
    ) -> Callable[[HttpRequest, Mapping[str, str]], Awaitable[bytes]]:
        special = {
            "login": self._login,
            "logout": self._logout,
            "whoami": self._whoami,
        }.get(route.call)

        async def answer(request: HttpRequest, in_path: Mapping[str, str]) -> bytes:
            if len(self._in_hand) >= HTTP_REQUESTS_MAX:
                many = f"{HTTP_REQUESTS_MAX} requests are in hand here already"
                raise Refused("overloaded", many)
            asked = read_call(route, request, in_path)
            if special is not None:
                return await special(request, asked)
            value = await self._calls.call(asked, Visitor(request))
            return respond(request, msgspec.json.encode(value), route.status)

        return answer

    async def _login(self, request: HttpRequest, asked: Request) -> bytes:
        value = await self._calls.call(asked, Visitor(request))
        body = msgspec.json.encode(value)
        if asked.session is not None:
            await self._end_session(request, asked.session)
        token = msgspec.json.decode(body, type=Session).session
        self._set_cookie(request, token, SESSION_SECONDS_MAX)
        return respond(request, body)

    async def _end_session(self, request: HttpRequest, session: str) -> None:
        """End the session that a login came with, if that can be had soon."""
        ending = self._calls.call(
            Request(id=0, call="logout", session=session), Visitor(request)
        )
        try:
            await within(self._clock, OLD_SESSION_SECONDS_MAX, ending, _too_long)
        except Refused as refused:
            self._log.info(
                "request {id}: the session before this login was not ended: {why}",
                id=request.id,
                why=refused.message,
            )

    async def _logout(self, request: HttpRequest, asked: Request) -> bytes:
        try:
            await self._calls.call(asked, Visitor(request))
        except Refused as refused:
            if refused.code == "unauthenticated":
                self._end_cookie(request, asked)
            raise
        self._end_cookie(request, asked)
        return respond(request, b"", 204)

    def _end_cookie(self, request: HttpRequest, asked: Request) -> None:
        """Clear the cookie of a session that has ended; another one's stays."""
        cookie = session_in(header(request, "Cookie"), secure=request.isSecure())
        if cookie in (None, asked.session):
            self._set_cookie(request, "", 0)

    async def _whoami(self, request: HttpRequest, asked: Request) -> bytes:
        value: object = Whoami(user=None)
        if asked.session is not None:
            try:
                value = await self._calls.call(asked, Visitor(request))
            except Refused as refused:
                if refused.code != "unauthenticated":
                    raise
        return respond(request, msgspec.json.encode(value))

    def _set_cookie(self, request: HttpRequest, token: str, seconds: int) -> None:
        secure = request.isSecure()
        request.addCookie(
            cookie_name(secure=secure),
            token,
            path="/",
            max_age=str(seconds),
            secure=secure,
            httpOnly=True,
            sameSite="strict",
        )

    async def _describe(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        return respond(request, self._openapi[request.isSecure()])

    # --- Pages -----------------------------------------------------------------------

    async def _page(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        return self._file(request, self._pages.page(PAGES[request.route]))

    async def _to_operator(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        return respond(request, b"", 308, {"Location": "/operator"})

    def _not_found(self, request: HttpRequest, page: File) -> bytes:
        """What a browser shows where there is nothing; programs get JSON."""
        _, headers, body = page.answer(header(request, "Accept-Encoding") or "", "")
        headers |= {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
        return respond(request, body, 404, headers)

    async def _asset(self, request: HttpRequest, in_path: Mapping[str, str]) -> bytes:
        name = unquote(in_path["name"])
        return self._file(request, self._pages.asset(in_path["version"], name))

    async def _favicon(self, request: HttpRequest, _: Mapping[str, str]) -> bytes:
        icon = self._pages.asset(self._pages.version, FAVICON)
        if icon is None:
            return respond(request, b"", 204)
        return self._file(request, icon)

    def _file(self, request: HttpRequest, file: File | None) -> bytes:
        if file is None:
            raise Refused("not_found", "there is no such page or file in this release")
        status, headers, body = file.answer(
            header(request, "Accept-Encoding") or "",
            header(request, "If-None-Match") or "",
        )
        return respond(request, body, status, headers)


def _too_long() -> Refused:
    return Refused("timeout", "it takes too long")
