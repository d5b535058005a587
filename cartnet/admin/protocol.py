"""A connection to the admin port."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, ServerFactory
from typing_extensions import override
from zope.interface import implementer

import cartnet
from cartnet.admin.commands import Commands
from cartnet.admin.lines import TelnetFilter, is_http
from cartnet.admin.session import After, Gate, Said, Session
from cartnet.limits import (
    ADMIN_CONNECTIONS_MAX,
    ADMIN_LINE_BYTES_MAX,
    ADMIN_LINES_WAITING_MAX,
    ADMIN_UNFINISHED_SECONDS_MAX,
    CLOSE_SECONDS_MAX,
    IDLE_SECONDS_MAX,
)
from cartnet.wire.framing import LineSplitter, LineTooLong

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.supervisor.cluster import Cluster

PROMPT: Final = "> "


@implementer(IHalfCloseableProtocol, IPushProducer)
class AdminProtocol(Protocol):
    """Lines in, replies out, one after the other.

    A slow reader is not read from either, so that replies do not pile up.
    """

    def __init__(
        self,
        clock: IReactorTime,
        factory: AdminFactory,
        session: Session,
        log: Logger,
    ) -> None:
        self._clock = clock
        self._owner = factory
        self._session = session
        self._log = log
        self._telnet = TelnetFilter()
        self._splitter = LineSplitter(ADMIN_LINE_BYTES_MAX)
        self._lines: deque[bytes] = deque()
        self._busy = False
        self._held = False
        self._reading = True
        self._ended = False
        self._too_long: str | None = None
        self._closed = False
        self._idle: IDelayedCall | None = None
        self._unfinished: IDelayedCall | None = None
        self._unread: IDelayedCall | None = None

    @property
    def _connection(self) -> Any:
        # A stream's methods are spread over several of Twisted's interfaces.
        return self.transport

    @override
    def connectionMade(self) -> None:
        self._connection.registerProducer(self, True)
        self._write(self._owner.greeting + "\n" + PROMPT)
        self._still_here()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._closed or self._too_long is not None:
            return
        self._still_here()
        try:
            lines = self._splitter.feed(self._telnet.feed(data))
        except LineTooLong as error:
            lines = error.lines
            self._too_long = str(error)
        if any(map(is_http, lines)):
            # A web page must not be able to post commands.
            self._log.warn("an HTTP request on the admin port: closed")
            self._close()
            return
        self._lines.extend(lines)
        self._time_line()
        self._pace()
        self._work()

    # --- Commands --------------------------------------------------------------------

    def _work(self) -> None:
        if not self._busy and not self._closed:
            self._busy = True
            Deferred.fromCoroutine(self._drain()).addErrback(self._broken)

    async def _drain(self) -> None:
        try:
            while self._lines and not self._held and not self._closed:
                self._say(await self._session.answer(self._lines.popleft()))
                self._pace()
        finally:
            self._busy = False
        if self._held or self._closed:
            return
        if self._too_long is not None:
            self._write(f"error: {self._too_long}\n")
            self._close()
        elif self._ended:
            self._close()

    def _say(self, said: Said) -> None:
        if said.after is After.STAY:
            self._write(said.text + PROMPT)
            return
        self._write(said.text)
        self._close()
        if said.after is After.EXIT:
            self._owner.leave()

    def _write(self, text: str) -> None:
        if not self._closed:
            self._connection.write(text.encode())

    def _broken(self, failure: Failure) -> None:
        self._log.failure("an admin connection failed", failure)
        self._close()

    # --- The connection --------------------------------------------------------------

    def _pace(self) -> None:
        """Read on only while there is room for commands."""
        reading = len(self._lines) < ADMIN_LINES_WAITING_MAX
        if reading is self._reading or self._closed or self._ended:
            return
        self._reading = reading
        if reading:
            self._connection.resumeProducing()
        else:
            self._connection.pauseProducing()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._lines.clear()
            self._forget_timers()
            # A transport with a producer would wait for more.
            self._connection.unregisterProducer()
            self._connection.loseConnection()
            # It waits for who does not read, too.
            self._unread = self._clock.callLater(
                CLOSE_SECONDS_MAX, self._connection.abortConnection
            )

    def pauseProducing(self) -> None:  # noqa: N802 (Twisted's name)
        """The other end does not read its replies."""
        self._held = True

    def resumeProducing(self) -> None:  # noqa: N802 (Twisted's name)
        """It has read them."""
        self._held = False
        self._work()

    def stopProducing(self) -> None:  # noqa: N802 (Twisted's name)
        """The connection is gone."""
        self._closed = True

    @override
    def connectionLost(self, reason: object = None) -> None:
        self._closed = True
        self._lines.clear()
        self._forget_timers()
        self._owner.lost()

    def readConnectionLost(self) -> None:  # noqa: N802 (Twisted's name)
        """Nothing more comes (``echo list | nc``): answer what has come, then close."""
        self._ended = True
        self._work()

    def writeConnectionLost(self) -> None:  # noqa: N802 (Twisted's name)
        """Nobody reads any longer."""
        self._close()

    # --- Time ------------------------------------------------------------------------

    def _still_here(self) -> None:
        if self._idle is None:
            self._idle = self._clock.callLater(IDLE_SECONDS_MAX, self._is_idle)
        else:
            self._idle.reset(IDLE_SECONDS_MAX)

    def _is_idle(self) -> None:
        self._idle = None
        if self._busy:
            self._still_here()
        else:
            self._close()

    def _time_line(self) -> None:
        """A line that has begun must end in time, however many bytes trickle in."""
        if not self._splitter.unfinished:
            if self._unfinished is not None:
                self._unfinished.cancel()
                self._unfinished = None
        elif self._unfinished is None:
            self._unfinished = self._clock.callLater(
                ADMIN_UNFINISHED_SECONDS_MAX, self._line_is_late
            )

    def _line_is_late(self) -> None:
        self._unfinished = None
        self._close()

    def _forget_timers(self) -> None:
        for timer in (self._idle, self._unfinished, self._unread):
            if timer is not None and timer.active():
                timer.cancel()
        self._idle = self._unfinished = self._unread = None


class AdminFactory(ServerFactory):
    """Serves the admin line protocol.

    :ivar greeting: the first line of every connection.
    :ivar connections_count: how many there are now.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        cluster: Cluster,
        password: str | None,
        leave: Callable[[], None],
        log: Logger,
    ) -> None:
        """Serve ``cluster``.

        :param password: None where none is needed.
        :param leave: stops this process, replicas first; called for ``exit`` once its
            reply is on its way.
        """
        count, name = len(cluster.here), cluster.topology.cluster
        self.greeting = (
            f"cartnet {cartnet.__version__}, cluster {name}:"
            f" {count} {'replica' if count == 1 else 'replicas'} here;"
            " help lists the commands"
        )
        self._clock = clock
        self._cluster_name = name
        self._commands = Commands(cluster)
        self._gate = Gate(clock, password)
        self._leave = leave
        self._log = log
        self.connections_count = 0

    @override
    def buildProtocol(self, addr: object) -> AdminProtocol | None:
        if self.connections_count >= ADMIN_CONNECTIONS_MAX:
            self._log.warn("too many admin connections: one more is closed")
            return None
        self.connections_count += 1
        if isinstance(addr, IPv4Address | IPv6Address):
            who, host = f"{addr.host}:{addr.port}", addr.host
        else:
            who, host = "local socket", None
        session = Session(
            self._clock,
            self._commands,
            self._gate,
            self._cluster_name,
            who,
            host,
            self._log,
        )
        return AdminProtocol(self._clock, self, session, self._log)

    def leave(self) -> None:
        """Stop the process, in a turn of its own: the reply is being sent."""
        self._clock.callLater(0, self._leave)

    def lost(self) -> None:
        """A connection has ended."""
        self.connections_count -= 1
