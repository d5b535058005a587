"""The console's HTTP API as a tool uses it: one operator's session, through treq."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import msgspec
import treq
from OpenSSL import SSL
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.threads import blockingCallFromThread
from twisted.python.failure import Failure
from twisted.python.url import URL
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.client import RequestTransmissionFailed as TransmissionFailed

from cartnet.errors import CODES, Refused
from cartnet.tools.balancer import Answer, Failed, Ok
from cartnet.tools.failure import ToolError
from cartnet.topology.address import PORT_MAX

T = TypeVar("T")

API: Final = "/api/v1"
CONNECT_SECONDS_MAX: Final = 3.0

_LOST: Final = (ConnectError, ConnectionClosed, ResponseFailed, TransmissionFailed)


class Web:
    """One session at a console.

    :ivar url: where the console is, such as ``http://127.0.0.1:8080``.
    """

    def __init__(self, reactor: Any, url: str, seconds_max: float) -> None:
        """
        :param seconds_max: how long an answer is waited for.
        :raises ToolError: ``url`` is none of a console.
        """
        self.url = _origin(url)
        self._reactor = reactor
        self._seconds_max = seconds_max
        self._pool = HTTPConnectionPool(reactor)
        agent = Agent(reactor, connectTimeout=CONNECT_SECONDS_MAX, pool=self._pool)
        self._http = treq.client.HTTPClient(agent)
        self._session: str | None = None

    async def log_in(self, password: str) -> None:
        """Become the operator; raises as :meth:`ask`."""
        credentials = {"username": "operator", "password": password}
        answer = await self.ask("POST", "/session", credentials)
        try:
            self._session = answer["session"]
        except (KeyError, TypeError):
            raise ConnectionError("what answered is no console") from None

    async def close(self) -> None:
        """Log out, where the console still listens, and hang up."""
        if self._session is not None:
            with suppress(Refused, OSError):
                await self.ask("DELETE", "/session")
        await self._pool.closeCachedConnections()

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        """Make one request; return its answer's JSON.

        :param path: below ``/api/v1``.
        :raises Refused: with the console's error.
        :raises OSError: the connection failed, took too long, or is no console's.
        """
        headers: dict[str | bytes, str | bytes] = {"Accept": "application/json"}
        if self._session is not None:
            headers["Authorization"] = f"Bearer {self._session}"
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)

        async def asked() -> tuple[int, bytes]:
            url = self.url + API + path
            response = await self._http.request(
                method,
                url,
                headers=headers,
                data=content,
                allow_redirects=False,
            )
            return response.code, await response.content()

        asking = Deferred.fromCoroutine(asked())
        try:
            status, answered = await asking.addTimeout(self._seconds_max, self._reactor)
        except DeferredTimeoutError:
            raise ConnectionError("it takes too long") from None
        except _LOST as error:
            raise ConnectionError(_why(error)) from None
        if status == 204:
            return None
        try:
            answer = msgspec.json.decode(answered)
        except msgspec.MsgspecError:
            raise ConnectionError("what answered is no console") from None
        if status < 400:
            return answer
        raise _refused(answer)


def _origin(url: str) -> str:
    """Give a console's address, as treq takes it: no IPv6 address, for one.

    :raises ToolError: it is none.
    """
    try:
        address = URL.fromText(url).replace(path=(), query=(), fragment="").to_uri()
    except ValueError:
        address = URL()
    if address.userinfo:
        raise ToolError(
            "--url: expected no user in the console's address; who asks is the"
            " operator, whose password --password-file tells"
        )
    if (
        address.scheme not in ("http", "https")
        or not address.host
        or not 0 < (address.port or 0) <= PORT_MAX
    ):
        raise ToolError(
            f"--url {url!r}: expected the console's address, by a host's name or its"
            " IPv4 address, such as http://127.0.0.1:8080"
        )
    return str(address.to_text())


def _why(error: Exception) -> str:
    """What a connection failed by, in words."""
    if isinstance(error, (ResponseFailed, TransmissionFailed)) and error.reasons:
        error = error.reasons[0].value
    if isinstance(error, SSL.Error):
        if "certificate" in str(error):
            return "its certificate is not one that this machine trusts"
        return "it does not speak TLS; perhaps its address is http://..."
    if not isinstance(error, (ConnectError, ConnectionClosed)):
        return "what answered does not speak HTTP"
    return str(error).rstrip(".") or type(error).__name__


def _refused(answer: Any) -> Refused:
    try:
        error = msgspec.convert(answer["error"], Failed)
    except (msgspec.ValidationError, KeyError, TypeError):
        raise ConnectionError("what answered is no console") from None
    code: Any = error.code if error.code in CODES else "internal"
    return Refused(code, error.message, error.details)


class WebBalancer:
    """A console in the place of a :class:`~cartnet.tools.balancer.Balancer`, for a tool
    that runs in a thread: it can log in and put items."""

    def __init__(self, reactor: Any, url: str, seconds_max: float) -> None:
        self._reactor = reactor
        self._web = Web(reactor, url, seconds_max)

    def __enter__(self) -> WebBalancer:
        return self

    def __exit__(self, *_: object) -> None:
        self._block(self._web.close)

    def call_all(self, requests: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Send requests together; give their answers in the same order.

        :raises OSError: the connection failed, or was too slow.
        """

        async def all_of_them() -> list[Answer]:
            asked = [Deferred.fromCoroutine(self._call(each)) for each in requests]
            # All have ended before the first failure is raised: nothing that another
            # connection sends again is still on its way.
            ended = DeferredList(asked, consumeErrors=True)
            results: list[tuple[bool, Any]] = await ended
            for _, result in results:
                if isinstance(result, Failure):
                    result.raiseException()
            return [answer for _, answer in results]

        return self._block(all_of_them)

    def _block(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        def begin() -> Deferred[Any]:
            return Deferred.fromCoroutine(call())

        done: Any = blockingCallFromThread(self._reactor, begin)
        return cast("T", done)

    async def _call(self, request: Mapping[str, Any]) -> Answer:
        args = dict(request["args"])
        try:
            if request["call"] == "login":
                await self._web.log_in(args["password"])
                return Answer(None, ok=Ok())
            assert request["call"] == "put_item"
            path = item_path(args.pop("item"))
            ok = await self._web.ask("PUT", path, args, request["key"])
        except Refused as refused:
            error = Failed(refused.code, refused.message, dict(refused.details))
            return Answer(None, error=error)
        return Answer(None, ok=Ok(ok["revision"]))


def item_path(item: str) -> str:
    """Where an item is, below the API."""
    return f"/inventory/{quote(item, safe='')}"
