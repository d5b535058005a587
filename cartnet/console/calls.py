"""Every call that the console answers, whoever asks by whichever protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.calls.answering import Asked
from cartnet.calls.router import OPERATOR_CALLS
from cartnet.checkout.waiting import within
from cartnet.console.guarded import Guarded
from cartnet.errors import Code, Refused
from cartnet.replica.ports import Watching
from cartnet.replica.refusals import Refusals
from cartnet.supervisor.hosting import observe
from cartnet.wire.arguments import CONSOLE_CALLS, decode_arguments
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from twisted.logger import Logger

    from cartnet.calls.router import Router
    from cartnet.console.operators import Operators
    from cartnet.console.report import EventKind
    from cartnet.replica.ports import Caller, Sink, Subscription
    from cartnet.seams import Seams
    from cartnet.supervisor.cluster import Cluster
    from cartnet.wire.requests import Request

Answered: TypeAlias = Callable[[str, float, Code | None], None]
"""Told of every answer: the call, the seconds it took, the code of its error if any."""

_TO_THE_CLUSTER: Final = frozenset({"control_replica", "transfer", "get_log"})
"""Calls by which the operator looks after the replicas, not after the shop."""

AUDITED: Final = OPERATOR_CALLS | _TO_THE_CLUSTER
"""Calls of which the log keeps who asked, from where, for what, and what came of it."""

_READS: Final = frozenset({"get_log"})
"""Of those the ones that change nothing: pages ask for them again and again, so only
that one was refused is kept, and once."""

_ON_REPLICAS: Final = frozenset({"status", "heartbeat"})

_PAST: Final[dict[str, tuple[EventKind, str]]] = {
    "kill": ("died", "killed"),
    "start": ("started", "started"),
    "restart": ("started", "restarted"),
    "pause": ("paused", "paused"),
    "resume": ("resumed", "resumed"),
    "isolate": ("isolated", "isolated"),
    "heal": ("healed", "healed"),
}


class Observed(Protocol):
    """What is known of the cluster (:class:`cartnet.console.observer.Observer`)."""

    def report(self) -> Awaitable[object]:
        """The cluster now: a :class:`cartnet.console.report.ClusterReport`."""

    def subscribe(self, sink: Sink) -> Subscription:
        """Send it reports, from now on."""

    def noted(
        self, kind: EventKind, group: str, replica: str | None, text: str, by: str
    ) -> None:
        """Put on the timeline what the user ``by`` has done."""


class Carts(Protocol):
    """Live carts (:class:`cartnet.console.carts.Carts`)."""

    def watch(self, asked: Asked) -> Awaitable[Watching]:
        """Watch the cart of the request's session.

        Refused: ``unauthenticated``, ``forbidden``, ``unavailable``.
        """


class ConsoleCalls:
    """Answers the shop's calls as a balancer does, and the operator's by itself."""

    def __init__(
        self,
        router: Router,
        operators: Operators,
        cluster: Cluster,
        observed: Observed,
        carts: Carts,
        seams: Seams,
        request_timeout: float,
        log: Logger,
    ) -> None:
        """
        :param request_timeout: seconds within which a request is answered.
        :param log: the process's, which keeps what operators did.
        """
        self._router = router
        self._operators = operators
        self._cluster = cluster
        self._observed = observed
        self._carts = carts
        self._clock = seams.clock
        self._request_timeout = request_timeout
        self._log = log
        self._refused_reads = Refusals(log)
        self._on_logout: list[Callable[[str], None]] = []
        self._on_answer: list[Answered] = []
        self._methods: dict[str, Callable[[Asked], Awaitable[object]]] = {
            "watch_cart": carts.watch,
            "watch_cluster": self._watch_cluster,
            "get_cluster": self._get_cluster,
            "control_replica": self._control_replica,
            "transfer": self._transfer,
            "get_log": self._get_log,
        }
        assert self._methods.keys() == CONSOLE_CALLS.keys()

    def on_logout(self, listener: Callable[[str], None]) -> None:
        """Tell ``listener`` each session that is logged out through this console."""
        self._on_logout.append(listener)

    def on_answer(self, listener: Answered) -> None:
        """Tell ``listener`` of every answer."""
        self._on_answer.append(listener)

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request; fire with its ``ok`` (a Struct, a dict, Raw or Watching).

        Fails with :class:`~cartnet.errors.Refused`. What the operator asks of the
        replicas goes on where its answer is late: that is ``timeout``.
        """
        began = self._clock.seconds()
        answer = Deferred.fromCoroutine(self._do(request, caller))
        if request.call in AUDITED:
            answer.addBoth(self._audit, request, caller)
        if request.call in _TO_THE_CLUSTER:
            answer = self._in_time(answer)
        return answer.addBoth(self._answered, request.call, began)

    async def _do(self, request: Request, caller: Caller) -> object:
        method = self._methods.get(request.call)
        if method is not None:
            args = decode_arguments(
                request.call, request.args, trusted=False, console=True
            )
            deadline = self._clock.seconds() + self._request_timeout
            return await method(Asked(request, caller, args, deadline))
        if request.call in _ON_REPLICAS:
            raise Refused(
                "bad_request", f"{request.call} is for replica ports, not for a console"
            )
        answer = await self._router.call(request, caller)
        if request.call == "logout":
            assert request.session is not None, "it was just logged out"
            self._operators.forget(request.session)
            for listener in self._on_logout:
                listener(request.session)
        return answer

    def _in_time(self, doing: Deferred[Any]) -> Deferred[Any]:
        """An answer in time, which what is being done goes on after."""
        answer = observe(doing)
        doing.addErrback(lambda _: None)  # The answer has it.
        return within(self._clock, self._request_timeout, answer, _late)

    def _answered(self, outcome: Any, call: str, began: float) -> Any:
        code: Code | None = None
        if isinstance(outcome, Failure):
            refused = outcome.value
            code = refused.code if isinstance(refused, Refused) else "internal"
        seconds = self._clock.seconds() - began
        for listener in self._on_answer:
            listener(call, seconds, code)
        return outcome

    def _audit(self, outcome: Any, request: Request, caller: Caller) -> Any:
        who, came_of_it = "operator", "ok"
        if isinstance(outcome, Failure):
            if not isinstance(outcome.value, Refused):
                self._log.failure("{call} failed", outcome, call=request.call)
                outcome = Failure(
                    Refused("internal", "that failed for a reason that the log has")
                )
            refused: Any = outcome.value
            came_of_it = f"{refused.code}: {refused.message}"
            if refused.code in ("unauthenticated", "forbidden"):
                who = "somebody"
        if request.call in _READS:
            reader = f"{request.call} {caller.address}"
            if came_of_it == "ok":
                self._refused_reads.forget(reader)
                return outcome
            if not self._refused_reads.is_news(reader, came_of_it):
                return outcome
        self._log.info(
            "console, {who} at {address}: {call} {args}: {outcome}",
            who=who,
            address=caller.address,
            call=request.call,
            args=one_line(bytes(request.args).decode("utf-8", "replace"), 200),
            outcome=one_line(came_of_it),
        )
        return outcome

    # --- The operator's --------------------------------------------------------------

    async def _confirm(self, asked: Asked) -> str:
        return await self._operators.confirm(asked.request.session, asked.deadline)

    async def _watch_cluster(self, asked: Asked) -> Watching:
        await self._confirm(asked)
        session = asked.request.session

        async def confirm() -> None:
            deadline = self._clock.seconds() + self._request_timeout
            await self._operators.confirm(session, deadline)

        return Watching(
            lambda sink: Guarded(
                sink, self._observed.subscribe(sink), confirm, self._clock, self._log
            )
        )

    async def _get_cluster(self, asked: Asked) -> object:
        await self._confirm(asked)
        return await self._observed.report()

    async def _control_replica(self, asked: Asked) -> object:
        user = await self._confirm(asked)
        command, name = asked.args.command, asked.args.replica
        match command:
            case "kill":
                await self._cluster.kill(name)
            case "start":
                await self._cluster.start(name)
            case "restart":
                await self._cluster.restart(name)
            case fault:
                await self._cluster.inject(fault, name)
        kind, done = _PAST[command]
        group = self._cluster.topology.group_of(name).name
        self._observed.noted(kind, group, name, f"{name} was {done}", user)
        return {"done": f"{done} {name}"}

    async def _transfer(self, asked: Asked) -> object:
        user = await self._confirm(asked)
        group, target = asked.args.group, asked.args.to
        await self._cluster.transfer(group, target)
        text = f"{group} was transferred to {target}"
        self._observed.noted("transferred", group, target, text, user)
        return {"done": f"transferred {group} to {target}"}

    async def _get_log(self, asked: Asked) -> object:
        await self._confirm(asked)
        lines = await self._cluster.log(asked.args.replica, asked.args.lines)
        return {"lines": lines}


def _late() -> Refused:
    return Refused("timeout", "no answer in time; it may have been done")
