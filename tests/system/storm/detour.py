"""A replica's process as always, but that it dials everybody by way of the proxy.

Run as a script: ``detour.py HOST PYTHON TWISTD ...`` becomes ``PYTHON TWISTD ...``
whose connections all go to ``HOST``, at the ports that they are meant for.
"""

from __future__ import annotations

import runpy
import sys
from typing import TYPE_CHECKING, Final

from cartnet.outside import SocketNetwork
from cartnet.topology.address import join, split

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

_straight: Final = SocketNetwork.client


def main() -> None:
    _, via, _, *sys.argv = sys.argv

    def client(self: SocketNetwork, address: str) -> IStreamClientEndpoint:
        _, port = split(address)
        return _straight(self, join(via, port))

    setattr(SocketNetwork, "client", client)  # noqa: B010 # mypy knows it as final
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
