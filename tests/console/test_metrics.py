"""What monitors ask: is it alive, is it ready, what does it count."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.report import Event
from tests.console.shopping import PASSWORD, Shopping, asset_folder


class MonitorTests(SynchronousTestCase):
    """``/healthz``, ``/readyz`` and ``/metrics``."""

    def setUp(self) -> None:
        self.shopping = Shopping(asset_folder(Path(self.mktemp())), "let-me-see")
        self.addCleanup(self.shopping.stop)
        self.ask = self.shopping.ask

    def values(self) -> dict[str, float]:
        """All samples, by name and labels."""
        text = self.ask("GET", "/metrics", Host="127.0.0.1").body.decode()
        samples = re.findall(r"(?m)^([a-z_]+(?:{.*})?) (\S+)$", text)
        return {name: float(value) for name, value in samples}

    def test_health(self) -> None:
        """The process is alive while it answers, whatever the cluster does."""
        self.shopping.watched.leaders = {"s1": None}

        self.assertEqual(self.ask("GET", "/healthz").status, 200)

    def test_ready(self) -> None:
        """It is ready while every group has a leader, else it names those without."""
        ready = self.ask("GET", "/readyz")
        self.shopping.watched.leaders = {"lb": None, "s1": "s1r0", "it": None}
        without = self.ask("GET", "/readyz")

        self.assertEqual((ready.status, ready.json), (200, {"status": "ready"}))
        self.assertEqual(without.refusal, (503, "unavailable"))
        self.assertEqual(without.json["error"]["details"], {"groups": ["lb", "it"]})

    def test_who_may_see(self) -> None:
        """This machine may see the metrics, and whoever has the token."""
        for address, authorization, status in (
            ("127.0.0.1", "", 200),
            ("::1", "", 200),
            ("127.0.0.1", "Bearer let-me", 200),
            ("192.0.2.1", "Bearer let-me-see", 200),
            ("192.0.2.1", "", 401),
            ("192.0.2.1", "Bearer let-me", 401),
            ("192.0.2.1", "Bearer l\xe9t", 401),
            ("192.0.2.1", f"Bearer {self.shopping.operator()}", 401),
        ):
            answer = self.ask(
                "GET",
                "/metrics",
                address=address,
                Host="localhost:8080",
                Authorization=authorization,
            )
            self.assertEqual(answer.status, status, (address, authorization))

    def test_loopback_for_others(self) -> None:
        """Neither another site's page in a browser here nor a proxy here opens them."""
        for headers in (
            {"Host": "evil.example:8080"},
            {"Host": "127.0.0.1.evil.example"},
            {"X_Forwarded_For": "192.0.2.1"},
            {"X-Forwarded-Host": "shop.example"},
            {"Forwarded": "for=192.0.2.1"},
        ):
            given = {"Host": "127.0.0.1:8080", **headers}
            answer = self.ask("GET", "/metrics", **given)
            self.assertEqual(answer.refusal, (401, "unauthenticated"), headers)

    def test_token(self) -> None:
        """The token opens them from anywhere; where there is none, nothing does."""
        with_token = Shopping(asset_folder(Path(self.mktemp())), "s3cret")
        without = Shopping(asset_folder(Path(self.mktemp())))
        self.addCleanup(with_token.stop)
        self.addCleanup(without.stop)
        far = {"address": "192.0.2.1"}

        right = with_token.ask("GET", "/metrics", Authorization="Bearer s3cret", **far)
        nothing = without.ask("GET", "/metrics", Authorization="Bearer ", **far)
        none = without.ask("GET", "/metrics", Authorization="Bearer None", **far)

        self.assertEqual(right.status, 200)
        self.assertEqual((nothing.status, none.status), (401, 401))

    def test_requests(self) -> None:
        """Requests are counted by route, not by what strangers make up."""
        self.ask("GET", "/healthz")
        self.ask("GET", "/healthz")
        self.ask("GET", "/api/v1/orders/one")
        self.ask("GET", "/made/up")
        self.ask("BREW", "/coffee")
        self.shopping.connect().say(b"nonsense\r\n\r\n")

        values = self.values()

        count = "cartnet_http_requests_total"
        for labels, value in (
            ('method="GET",route="/healthz",status="200"', 2),
            ('method="GET",route="/api/v1/orders/{id}",status="401"', 1),
            ('method="GET",route="other",status="404"', 1),
            ('method="other",route="other",status="404"', 1),
            ('method="other",route="other",status="400"', 1),
        ):
            self.assertEqual(values[f"{count}{{{labels}}}"], value, labels)
        seconds = "cartnet_http_request_seconds_count"
        self.assertEqual(values[f'{seconds}{{method="GET",route="/healthz"}}'], 2)

    def test_calls(self) -> None:
        """Calls are counted by what came of them."""
        self.shopping.token()
        bad = {"username": "ann", "password": f"not {PASSWORD}"}
        self.shopping.api("POST", "/session", bad)

        values = self.values()

        count = "cartnet_calls_total"
        self.assertEqual(values[f'{count}{{call="login",code="ok"}}'], 1)
        self.assertEqual(values[f'{count}{{call="login",code="unauthenticated"}}'], 1)
        self.assertEqual(values['cartnet_call_seconds_count{call="login"}'], 2)

    def test_cluster(self) -> None:
        """Commits, terms, leaders, lag, queues, sockets and the loop are there."""
        self.shopping.watched.leaders["it"] = None

        values = self.values()

        one = 'group="s1",replica="s1r0"'
        for name, value in (
            ('cartnet_group_commit_index{group="s1"}', 120),
            ('cartnet_group_term{group="s1"}', 3),
            ('cartnet_group_has_leader{group="s1"}', 1),
            ('cartnet_group_has_leader{group="it"}', 0),
            ('cartnet_group_writes_per_second{group="s1"}', 1.5),
            (f"cartnet_replica_leads{{{one}}}", 1),
            (f"cartnet_replica_applied_index{{{one}}}", 119),
            (f"cartnet_replica_lag_entries{{{one}}}", 1),
            (f"cartnet_replica_queue_depth{{{one}}}", 4),
            ("cartnet_websockets", 3),
            ("cartnet_event_loop_delay_seconds", 0.0005),
            ("cartnet_stock_conserved", 1),
        ):
            self.assertEqual(values[name], value, name)

    def test_elections(self) -> None:
        """Each new leader counts once, however often it is looked."""
        timeline = self.shopping.watched.timeline
        timeline += [event(1, "leader", "s1"), event(2, "transferred", "it")]
        first = self.values()
        # A transfer that was asked for is an election once it is seen.
        timeline[1] = event(2, "leader", "it")
        timeline += [event(3, "leader", "s1"), event(4, "died", "it")]
        self.values()

        values = self.values()

        elections = "cartnet_elections_total"
        self.assertEqual(first[f'{elections}{{group="s1"}}'], 1)
        self.assertEqual(values[f'{elections}{{group="s1"}}'], 2)
        self.assertEqual(values[f'{elections}{{group="it"}}'], 1)


def event(number: int, kind: str, group: str) -> Event:
    return Event(number, 0.0, kind, group, None, 1, "")  # type: ignore[arg-type]
