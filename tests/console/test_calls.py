"""Every call at the console: the shop's, the operator's, and who may."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.answering import Asked
from cartnet.console.calls import ConsoleCalls
from cartnet.console.operators import Operators
from cartnet.errors import Refused
from cartnet.limits import (
    LOG_LINES_DEFAULT,
    OPERATOR_TRUSTED_SECONDS,
    OPERATOR_WATCH_SECONDS,
)
from cartnet.replica.ports import Sink, Subscription, Watching
from cartnet.wire.arguments import CONSOLE_CALLS
from tests.calls.balancing import REQUEST_TIMEOUT, Balancing, Visitor, request_for
from tests.client.scripted import error, ok
from tests.replica.listening import logger
from tests.supervisor.replicas import Ports, Process, World, cluster_of

OPERATOR = "it.operator"
SHOPPER = "s1.ann"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "control_replica": {"replica": "s1r1", "command": "kill"},
    "transfer": {"group": "s1", "to": "s1r1"},
    "get_log": {"replica": "s1r1"},
}
OPERATORS_OWN = CONSOLE_CALLS.keys() - {"watch_cart"}


class _Watcher:
    def __init__(self, observed: Observed, sink: Sink) -> None:
        self.observed, self.sink = observed, sink

    def wake(self) -> None:
        self.sink.send(b"woken")

    def cancel(self) -> None:
        self.observed.watchers.remove(self.sink)


class Watched:
    """Where a watch's events go."""

    writable = True

    def __init__(self, watching: Watching) -> None:
        self.events: list[bytes] = []
        self.ended: Refused | None = None
        self.subscription = watching.subscribe(self)

    def send(self, event: bytes) -> None:
        self.events.append(event)

    def leave(self) -> None:
        if self.ended is None:
            self.end(Refused("not_found", "cancelled"))

    def end(self, refused: Refused) -> None:
        self.ended = refused
        self.subscription.cancel()


class Observed:
    """Knows one report, and what was noted.

    :ivar is_broken: it cannot note anything.
    :ivar watchers: who has subscribed and not cancelled.
    """

    def __init__(self) -> None:
        self.watchers: list[Sink] = []
        self.notes: list[tuple[Any, ...]] = []
        self.is_broken = False

    async def report(self) -> object:
        return {"cluster": "demo"}

    def subscribe(self, sink: Sink) -> Subscription:
        self.watchers.append(sink)
        return _Watcher(self, sink)

    def noted(self, *note: Any) -> None:
        if self.is_broken:
            raise ZeroDivisionError("a secret")
        self.notes.append(note)


class Carts:
    """Watches nothing."""

    async def watch(self, asked: Asked) -> Watching:
        if asked.request.session is None:
            raise Refused("unauthenticated", "log in")
        return Watching(lambda sink: (_ for _ in ()).throw(NotImplementedError))


class ConsoleTestCase(SynchronousTestCase):
    """A console among scripted groups, beside a process of small replicas."""

    def setUp(self) -> None:
        self.balancing = Balancing()
        self.addCleanup(self.balancing.stop)
        self.inventory = self.balancing.inventory
        self.inventory.answer = self.of_inventory
        self.balancing.shard.answer = lambda request: ok(user="ann", shard="s1")
        self.small = World()
        process = Process(self.small, self.small.clock, *self.small.topology.names)
        self.successResultOf(process.start())
        self.observed = Observed()
        self.events: list[LogEvent] = []
        self.operators = Operators(
            self.balancing.topology,
            self.balancing.clients["it"],
            self.balancing.seams.clock,
        )
        self.calls = ConsoleCalls(
            self.balancing.router,
            self.operators,
            cluster_of(self.small.clock, process, Ports(process)),
            self.observed,
            Carts(),
            self.balancing.seams,
            REQUEST_TIMEOUT,
            logger(self.events),
        )

    def of_inventory(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["call"] == "whoami" and request["session"] != OPERATOR:
            return error("unauthenticated")
        return ok(user="operator", shard=None)

    def asking(
        self, call: str, args: dict[str, Any] | None = None, **fields: Any
    ) -> Deferred[Any]:
        request = request_for(call, ARGUMENTS.get(call) if args is None else args)
        request = msgspec.structs.replace(request, **fields)
        return self.calls.call(request, Visitor("192.0.2.7"))

    def ask(self, call: str, *args: Any, **fields: Any) -> Any:
        """Ask, and let time pass until there is an answer."""
        asked = self.asking(call, *args, **fields)

        async def answered() -> Any:
            return await asked

        return self.balancing.lb.run(answered())

    def refused(self, call: str, *args: Any, **fields: Any) -> str:
        with self.assertRaises(Refused) as caught:
            self.ask(call, *args, **fields)
        return caught.exception.code

    def no_leader(self) -> None:
        """Have the inventory group lose its leader."""
        self.inventory.leads = False
        self.inventory.answer = lambda request: error("not_leader", leader=None)

    def pass_time(self, seconds: float) -> None:
        self.balancing.world.clock.run_for(seconds)

    def audited(self) -> list[str]:
        return [str(e["log_format"]).format(**e) for e in self.events]


class ShopTests(ConsoleTestCase):
    """What a balancer answers, the console answers."""

    def test_routed(self) -> None:
        """A shopper's call goes to the shard that the session is of."""
        answer = self.ask("whoami", session=SHOPPER)
        self.assertEqual(msgspec.json.decode(answer)["user"], "ann")

    def test_unknown(self) -> None:
        """What is no call here is refused, and replicas' own calls are none."""
        for call in ("fly", "status", "heartbeat", "take", "supervise", "conservation"):
            self.assertEqual(self.refused(call, {}), "bad_request", call)

    def test_bad_arguments(self) -> None:
        """The console's own calls check their arguments as all others do."""
        for call, args in (
            ("control_replica", {"replica": "s1r1"}),
            ("control_replica", {"replica": "s1r1", "command": "explode"}),
            ("control_replica", {"replica": "../s1r1", "command": "kill"}),
            ("get_log", {"replica": "s1r1", "lines": 0}),
            ("get_log", {"replica": "s1r1", "lines": 1_001}),
            ("get_log", {"replica": "s1r1", "path": "/etc/passwd"}),
            ("transfer", {"group": "s1"}),
            ("watch_cluster", {"from": 1}),
        ):
            code = self.refused(call, args, session=OPERATOR)
            self.assertEqual(code, "bad_request", (call, args))
        self.assertEqual(self.inventory.asked_for, [])

    def test_logout(self) -> None:
        """A logout that has happened is told, with its session."""
        told: list[str] = []
        self.calls.on_logout(told.append)
        self.balancing.shard.answer = lambda request: error("unauthenticated")
        self.assertEqual(self.refused("logout", session=SHOPPER), "unauthenticated")
        self.assertEqual(self.refused("logout"), "unauthenticated")
        self.assertEqual(told, [])

        self.balancing.shard.answer = lambda request: ok()
        self.ask("logout", session=SHOPPER)

        self.assertEqual(told, [SHOPPER])

    def test_answers_are_counted(self) -> None:
        """Each answer is told, with its call, how long it took and its error."""
        told: list[tuple[str, float, str | None]] = []
        self.calls.on_answer(lambda *answer: told.append(answer))
        self.ask("whoami", session=SHOPPER)
        self.refused("whoami")

        self.assertEqual(
            [(call, code) for call, _, code in told],
            [("whoami", None), ("whoami", "unauthenticated")],
        )
        self.assertGreater(told[0][1], 0)
        self.assertEqual(told[1][1], 0)


class OperatorTests(ConsoleTestCase):
    """Who may do what to the cluster."""

    def test_may(self) -> None:
        """The operator's session may; the inventory says that it is one."""
        self.assertIsInstance(self.ask("watch_cluster", session=OPERATOR), Watching)
        report = self.ask("get_cluster", session=OPERATOR)
        self.assertEqual(report, {"cluster": "demo"})
        self.assertEqual(self.inventory.calls, ["whoami", "whoami"])

    def test_may_not(self) -> None:
        """Nobody else may, and nothing is done."""
        for call in OPERATORS_OWN:
            self.assertEqual(self.refused(call), "unauthenticated", call)
            self.assertEqual(self.refused(call, session=SHOPPER), "forbidden", call)
            for session in ("it.other", "s9.x", "lb.x", "", "it"):
                code = self.refused(call, session=session)
                self.assertEqual(code, "unauthenticated", (call, session))
        self.assertNotIn("s1r1 crashed", self.small.events)
        self.assertEqual(self.observed.notes, [])

    def test_without_a_leader(self) -> None:
        """While the inventory has no leader, who was confirmed lately passes, soon."""
        self.assertEqual(self.ask("get_cluster", session=OPERATOR), {"cluster": "demo"})
        self.no_leader()
        began = self.balancing.seams.clock.seconds()

        self.ask("control_replica", session=OPERATOR)

        seconds = self.balancing.seams.clock.seconds() - began
        self.assertLess(seconds, REQUEST_TIMEOUT)
        self.assertIn("s1r1 crashed", self.small.events)
        self.assertEqual(self.refused("get_cluster", session="it.x"), "unavailable")

    def test_memory_ends(self) -> None:
        """An hour after it was confirmed, or after its logout, a session passes not."""
        self.ask("get_cluster", session=OPERATOR)
        self.pass_time(OPERATOR_TRUSTED_SECONDS - 10)
        self.ask("get_cluster", session=OPERATOR)
        self.no_leader()
        self.pass_time(OPERATOR_TRUSTED_SECONDS - 10)
        self.ask("get_cluster", session=OPERATOR)
        self.pass_time(10)
        self.assertEqual(self.refused("get_cluster", session=OPERATOR), "unavailable")

        self.inventory.leads = True
        self.inventory.answer = self.of_inventory
        self.ask("get_cluster", session=OPERATOR)
        self.ask("logout", session=OPERATOR)
        self.no_leader()
        self.assertEqual(self.refused("get_cluster", session=OPERATOR), "unavailable")

    def test_refused_is_forgotten(self) -> None:
        """A session that the inventory knows no more is not believed later."""
        self.ask("get_cluster", session=OPERATOR)
        self.inventory.answer = lambda request: error("unauthenticated")
        code = self.refused("get_cluster", session=OPERATOR)
        self.assertEqual(code, "unauthenticated")

        self.no_leader()

        self.assertEqual(self.refused("get_cluster", session=OPERATOR), "unavailable")


class WatchTests(ConsoleTestCase):
    """How long the operator may watch."""

    def setUp(self) -> None:
        super().setUp()
        self.watch = Watched(self.ask("watch_cluster", session=OPERATOR))
        self.addCleanup(self.watch.leave)

    def test_goes_on(self) -> None:
        """A watch goes on while its session stands, or nobody can say that it fell."""
        self.pass_time(3 * OPERATOR_WATCH_SECONDS)
        self.no_leader()
        self.pass_time(3 * OPERATOR_WATCH_SECONDS)

        self.assertIsNone(self.watch.ended)
        self.watch.subscription.wake()
        self.assertEqual(self.watch.events, [b"woken"])

    def test_ends_with_the_session(self) -> None:
        """A session that has ended elsewhere, or long ago, ends its watch soon."""
        self.inventory.answer = lambda request: error("unauthenticated")
        self.pass_time(OPERATOR_WATCH_SECONDS + 1)

        assert self.watch.ended is not None
        self.assertEqual(self.watch.ended.code, "unauthenticated")
        self.assertEqual(self.observed.watchers, [])

    def test_ends_unconfirmed(self) -> None:
        """Without a word of the inventory a watch ends an hour after the last one."""
        self.no_leader()
        self.pass_time(OPERATOR_TRUSTED_SECONDS - 10)
        self.assertIsNone(self.watch.ended)
        self.pass_time(10 + 2 * OPERATOR_WATCH_SECONDS)

        assert self.watch.ended is not None
        self.assertEqual(self.watch.ended.code, "unavailable")

    def test_cancelled(self) -> None:
        """After its end nothing more is asked for a watch."""
        self.watch.leave()
        asked = len(self.inventory.calls)
        self.pass_time(2 * OPERATOR_WATCH_SECONDS)

        self.assertEqual(len(self.inventory.calls), asked)
        self.assertEqual(self.observed.watchers, [])

    def test_broken(self) -> None:
        """A watch whose session cannot be asked for ends, and the log has why."""
        self.inventory.answer = lambda request: ok(nonsense=1)
        self.pass_time(OPERATOR_WATCH_SECONDS + 1)

        assert self.watch.ended is not None
        self.assertEqual(self.watch.ended.code, "internal")
        self.assertEqual(self.audited(), ["a session could not be confirmed"])


class ClusterTests(ConsoleTestCase):
    """What the operator does to the cluster."""

    def control(self, command: str, replica: str = "s1r1") -> Any:
        args = {"replica": replica, "command": command}
        return self.ask("control_replica", args, session=OPERATOR)

    def test_commands(self) -> None:
        """Each command is done, said, noted on the timeline and audited."""
        for command, done, kind in (
            ("pause", "paused", "paused"),
            ("resume", "resumed", "resumed"),
            ("isolate", "isolated", "isolated"),
            ("heal", "healed", "healed"),
            ("kill", "killed", "died"),
            ("start", "started", "started"),
            ("restart", "restarted", "started"),
        ):
            self.small.clock.advance(0)
            self.assertEqual(self.control(command), {"done": f"{done} s1r1"})
            self.small.clock.advance(0)

            note = (kind, "s1", "s1r1", f"s1r1 was {done}", "operator")
            self.assertEqual(self.observed.notes[-1], note)
            self.assertEqual(
                self.audited()[-1],
                "console, operator at 192.0.2.7: control_replica"
                f' {{"replica":"s1r1","command":"{command}"}}: ok',
            )

    def test_transfer(self) -> None:
        """Leadership is moved, and that is noted."""
        answer = self.ask("transfer", session=OPERATOR)

        self.assertEqual(answer, {"done": "transferred s1 to s1r1"})
        text = "s1 was transferred to s1r1"
        self.assertEqual(
            self.observed.notes, [("transferred", "s1", "s1r1", text, "operator")]
        )

    def test_refusals(self) -> None:
        """What cannot be done is refused, and noted nowhere but in the log."""
        for args, code in (
            ({"replica": "s9r9", "command": "kill"}, "not_found"),
            ({"replica": "s1r1", "command": "start"}, "conflict"),
        ):
            refused = self.refused("control_replica", args, session=OPERATOR)
            self.assertEqual(refused, code)
        self.refused("control_replica", session=SHOPPER)
        self.refused("put_item", {}, session=OPERATOR)

        self.assertEqual(self.observed.notes, [])
        outcomes = [line.partition("}: ")[2] for line in self.audited()]
        self.assertEqual(
            outcomes,
            [
                "not_found: no replica is called s9r9",
                "conflict: s1r1 is alive",
                "forbidden: this is for the operator",
                "bad_request: item is missing; it must be 1 to 32 characters of"
                " A-Z a-z 0-9 . _ -",
            ],
        )
        self.assertIn("somebody at 192.0.2.7", self.audited()[2])

    def test_log(self) -> None:
        """The end of a replica's log is read, as much of it as is asked for."""
        answer = self.ask("get_log", {"replica": "it0", "lines": 1}, session=OPERATOR)
        self.assertEqual(answer, {"lines": ["it0 says 9"]})
        whole = self.ask("get_log", session=OPERATOR)
        self.assertEqual(len(whole["lines"]), min(10, LOG_LINES_DEFAULT))

    def test_reads(self) -> None:
        """Reading is not audited; that it was refused is, once until it is not."""
        one = {"replica": "it0", "lines": 1}
        for session in (OPERATOR, SHOPPER, SHOPPER, OPERATOR, SHOPPER):
            if session == OPERATOR:
                self.ask("get_log", one, session=session)
            else:
                self.refused("get_log", one, session=session)

        line = (
            'console, somebody at 192.0.2.7: get_log {"replica":"it0","lines":1}:'
            " forbidden: this is for the operator"
        )
        self.assertEqual(self.audited(), [line, line])

    def test_late(self) -> None:
        """What takes too long is answered honestly, goes on, and is audited then."""
        self.control("kill")
        self.small.starting["s1r1"] = started = Deferred[None]()
        args = {"replica": "s1r1", "command": "start"}
        code = self.refused("control_replica", args, session=OPERATOR)

        self.assertEqual(code, "timeout")
        self.assertEqual(len(self.audited()), 1)
        started.callback(None)
        self.assertEqual(len(self.audited()), 2)
        self.assertEqual(self.observed.notes[-1][0], "started")

    def test_broken(self) -> None:
        """What breaks is in the log, and is told as no more than that."""
        self.observed.is_broken = True

        with self.assertRaises(Refused) as caught:
            self.ask("transfer", session=OPERATOR)

        self.assertEqual(caught.exception.code, "internal")
        self.assertNotIn("a secret", caught.exception.message)
        self.assertEqual(self.audited()[0], "transfer failed")
        self.assertIn(": internal", self.audited()[1])
