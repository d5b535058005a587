"""The port of the admin line, or of the console, where an endpoint string says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from cartnet.storage.owner import StartError
from cartnet.topology.listening import listening

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

_IN_CLEAR: Final = "options that Twisted knows, as in tcp:8080:interface=127.0.0.1"
_ENCRYPTED: Final = (
    "a key and its certificate, PEM files that can be read, as in"
    " ssl:8443:privateKey=key.pem:certKey=cert.pem"
)


def listen(
    reactor: Any, text: str, factory: IProtocolFactory, name: str
) -> IListeningPort:
    """Take a port, at once.

    :param text: a server endpoint string.
    :param name: what the port is called, on the command line too.
    :raises StartError: it is not to be had.
    """
    outcome: list[IListeningPort | Failure] = []
    # Which kinds of endpoint there are is up to plugins, and so is what they raise for
    # a wrong option or an unfit file.
    try:
        serverFromString(reactor, text).listen(factory).addBoth(outcome.append)
    except Exception:
        outcome.append(Failure())
    assert outcome, "an endpoint of this kind listens without waiting"
    if not isinstance(outcome[0], Failure):
        return outcome[0]
    error = outcome[0].value
    if isinstance(error, CannotListenError):
        raise StartError(
            f"the {name} port {text} cannot be had: {error.socketError}; stop what"
            f" holds it, or give another one or none with --{name}"
        )
    right = _ENCRYPTED if listening(text).encrypted else _IN_CLEAR
    raise StartError(
        f"the {name} port {text} cannot be had: {_why(error)}; expected {right}, or"
        f" none with --{name}"
    )


def _why(error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error}"
