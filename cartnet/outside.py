"""The real outside world: clocks, chance, sockets, files and threads, as seams."""

from __future__ import annotations

import os
import random
import socket
import time
from typing import TYPE_CHECKING, Any

from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
)
from twisted.internet.interfaces import IStreamClientEndpoint, ISystemHandle
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from cartnet.limits import (
    BACKLOG_CONNECTIONS_MAX,
    CONNECT_SECONDS_MAX,
    UNACKNOWLEDGED_SECONDS_MAX,
)
from cartnet.seams import Seams
from cartnet.storage.database import ThreadedDisk
from cartnet.topology.address import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint

    from cartnet.seams import Network


class SocketNetwork:
    """TCP endpoints for addresses; a host with a colon is an IPv6 one."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def client(self, address: str) -> IStreamClientEndpoint:
        host, port = split(address)
        endpoint = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        return _ImpatientEndpoint(
            endpoint(self._reactor, host, port, timeout=CONNECT_SECONDS_MAX)
        )

    def server(self, address: str) -> IStreamServerEndpoint:
        host, port = split(address)
        endpoint = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        return endpoint(
            self._reactor, port, backlog=BACKLOG_CONNECTIONS_MAX, interface=host
        )


@implementer(IStreamClientEndpoint)
class _ImpatientEndpoint:
    """Makes connections that end when the other host is gone, where that can be had."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803 # Twisted's name
    ) -> Deferred[Any]:
        connecting: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return connecting.addCallback(_do_not_wait_for_long)


def _do_not_wait_for_long(protocol: Any) -> Any:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and ISystemHandle.providedBy(protocol.transport):
        milliseconds = round(1000 * UNACKNOWLEDGED_SECONDS_MAX)
        handle: Any = protocol.transport.getHandle()
        handle.setsockopt(socket.IPPROTO_TCP, option, milliseconds)
    return protocol


def keep_steady_time(reactor: Any) -> None:
    """Have a reactor count seconds that nobody can set.

    Twisted's follows the wall clock: set that back by a minute, and for a minute no
    timer ends. Call this before the first timer is set.
    """
    assert not reactor.getDelayedCalls(), "timers by the other clock"
    reactor.seconds = time.monotonic


def outside(reactor: Any) -> Seams:
    """Everything that is handed in, from the reactor and the operating system."""

    def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *args)

    return Seams(
        clock=reactor,
        wall=time.time,
        random=random.Random(os.urandom(16)),
        token_bytes=os.urandom,
        network=SocketNetwork(reactor),
        disk=ThreadedDisk(reactor),
        in_thread=in_thread,
    )


if TYPE_CHECKING:
    _network: type[Network] = SocketNetwork
