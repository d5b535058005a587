"""Where customers of a real cluster are: all in this process, each with clients of its
own."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from twisted.internet import error
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Protocol

from cartnet.roles import group_clients

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.topology.configuration import Configuration
    from cartnet.wire.hello import Purpose
    from cartnet.workload.crowd import Hosts


class Place:
    """Hosts of a crowd (:class:`cartnet.workload.crowd.Hosts`)."""

    def __init__(self, configuration: Configuration, seams: Seams, seed: int) -> None:
        self._configuration = configuration
        self._seams = seams
        self._seed = seed
        self._clients: dict[tuple[str, Purpose], dict[str, GroupClient]] = {}

    def clients(self, host: str, purpose: Purpose = "client") -> dict[str, GroupClient]:
        """Clients of all groups, by the groups' names."""
        known = self._clients.get((host, purpose))
        if known is None:
            known = group_clients(
                self._configuration, self._seams, f"check {host}", purpose
            )
            self._clients[host, purpose] = known
        return known

    def seams(self, host: str) -> Seams:
        return self._seams

    def random(self, purpose: str) -> Random:
        return Random(f"{self._seed} {purpose}")

    async def is_refused(self, addresses: Iterable[str]) -> bool:
        """Whether nobody listens at any of these."""
        for address in addresses:
            endpoint = self._seams.network.client(address)
            try:
                connected = await connectProtocol(endpoint, Protocol())
            except error.ConnectionRefusedError:
                continue
            except (error.ConnectError, OSError):
                return False  # Nobody knows.
            assert connected.transport is not None
            connected.transport.loseConnection()
            return False
        return True

    def stop(self) -> None:
        """Hang up, for good."""
        for clients in self._clients.values():
            for client in clients.values():
                client.stop()


if TYPE_CHECKING:
    _hosts: type[Hosts] = Place
