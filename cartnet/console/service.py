"""The console of one process, put together: it listens, watches the cluster, stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from cartnet.calls.catalogue import Catalogue
from cartnet.calls.router import Router
from cartnet.console.calls import ConsoleCalls
from cartnet.console.carts import Carts
from cartnet.console.load import Load
from cartnet.console.metrics import Meters
from cartnet.console.observer import Observer
from cartnet.console.operators import Operators
from cartnet.console.site import Site
from cartnet.console.sockets import WebSockets
from cartnet.resources import resource
from cartnet.topology.listening import listening
from cartnet.transport.listening import listen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IListeningPort
    from twisted.logger import Logger

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.supervisor.cluster import Cluster
    from cartnet.topology.configuration import Configuration


class Console:
    """HTTP and WebSocket on one port.

    To the cluster it is a balancer without a log: it routes the shop's calls itself.
    """

    def __init__(
        self,
        endpoint: str,
        configuration: Configuration,
        reactor: Any,
        seams: Seams,
        cluster: Cluster,
        clients: Mapping[str, GroupClient],
        log: Logger,
    ) -> None:
        """
        :param endpoint: where to listen, as a server endpoint string.
        :param clients: of every group, the console's own.
        """
        topology = configuration.topology
        timeout = configuration.timing.request_timeout
        self._endpoint = endpoint
        self._reactor = reactor
        self._clients = clients
        self._load = Load(seams.clock)
        inventory = clients[topology.inventory.name]
        self._catalogue = Catalogue(inventory)
        self._router = Router(topology, clients, self._catalogue, seams, timeout)
        self._observer = Observer(cluster, self._load, seams, log)
        self._carts = Carts(self._router, self._catalogue, seams.clock)
        calls = ConsoleCalls(
            self._router,
            Operators(topology, inventory, seams.clock),
            cluster,
            self._observer,
            self._carts,
            seams,
            timeout,
            log,
        )
        meters = Meters()
        calls.on_answer(lambda _, seconds, code: self._load.answered(seconds, code))
        calls.on_answer(meters.answered)
        self._sockets = WebSockets(calls, seams, timeout, self._load, log)
        self._site = Site(
            calls,
            self._sockets.resource,
            self._observer,
            meters,
            seams,
            log,
            resource("web_console"),
            configuration.metrics_token,
        )
        self._port: IListeningPort | None = None

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        place = listening(self._endpoint)
        if place.port is None or self._port is None:
            return self._endpoint
        scheme = "https" if place.encrypted else "http"
        host = place.host if place.host not in (None, "0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 (only compared with)
        shown = f"[{host}]" if ":" in str(host) else host
        # Which port it is, the operating system may have chosen.
        address: Any = self._port.getHost()
        return f"{scheme}://{shown}:{address.port}/"

    def listen(self) -> None:
        """Take the port.

        :raises StartError: it is not to be had.
        """
        self._port = listen(self._reactor, self._endpoint, self._site, "console")

    def start(self) -> None:
        """Follow the inventory and watch the cluster, from now on."""
        self._catalogue.start()
        self._load.start()
        self._observer.start()

    async def stop(self) -> None:
        """Answer what is in hand, then close the port and every connection."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        await gatherResults(
            [
                Deferred.fromCoroutine(self._sockets.stop()),
                Deferred.fromCoroutine(self._site.stop()),
            ]
        )
        self._carts.stop()
        self._observer.stop()
        self._load.stop()
        self._catalogue.stop()
        self._router.stop()
        for client in self._clients.values():
            client.stop()
