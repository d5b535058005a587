"""A reactor that runs no longer than a tool."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from signal import SIG_DFL, SIGHUP, SIGINT, SIGTERM, getsignal, signal
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import react

ENDINGS: Final = (SIGINT, SIGTERM, SIGHUP)
"""What ends a tool; Twisted knows the first two of them."""

T = TypeVar("T")


def run(tool: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Run ``tool(reactor)`` to its end, in a reactor that runs no longer than that.

    :raises KeyboardInterrupt: it was ended by a signal before.
    """
    outcome: list[T] = []
    failure: list[Exception] = []

    async def main(reactor: Any) -> None:
        # It may be ignored: nohup does so.
        if handlers[SIGHUP] is SIG_DFL:
            signal(SIGHUP, reactor.sigTerm)
        try:
            outcome.append(await tool(reactor))
        except Exception as error:
            failure.append(error)

    handlers = {each: getsignal(each) for each in ENDINGS}
    try:
        with suppress(SystemExit):  # Its way to end.
            react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
    finally:
        # Twisted leaves its own behind: what the tool still does could not be ended.
        for each, handler in handlers.items():
            signal(each, handler)
    if failure:
        raise failure[0]
    if not outcome:
        raise KeyboardInterrupt
    return outcome[0]
