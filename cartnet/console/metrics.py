"""What Prometheus collects: counted here, or read off a report of the cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

from cartnet.wire.arguments import CALLS, CONSOLE_CALLS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from cartnet.console.report import ClusterReport
    from cartnet.errors import Code

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
"""A label for what strangers name: their words would be labels without end."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0),
)


class Meters:
    """Counts requests and calls."""

    def __init__(self) -> None:
        disable_created_metrics()  # They are half of the output, and of no use.
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "cartnet_http_requests",
            "HTTP requests answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "cartnet_http_request_seconds",
            "From the first byte of an HTTP request to its answer.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._calls = Counter(
            "cartnet_calls",
            "Calls answered, by HTTP and WebSocket; code is ok or the error's.",
            ("call", "code"),
            registry=registry,
        )
        self._call_seconds = Histogram(
            "cartnet_call_seconds",
            "From a call to its answer.",
            ("call",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._elections = Counter(
            "cartnet_elections",
            "New leaders that this console has seen.",
            ("group",),
            registry=registry,
        )
        self._counted: Collection[int] = ()

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; ``route`` is a route's path."""
        method = method if method in _METHODS else OTHER
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route, method).observe(seconds)

    def answered(self, call: str, seconds: float, code: Code | None) -> None:
        """A call was answered: well, or with an error's code."""
        known = call if call in CALLS or call in CONSOLE_CALLS else OTHER
        self._calls.labels(known, code or "ok").inc()
        self._call_seconds.labels(known).observe(seconds)

    def exposition(self, report: ClusterReport) -> bytes:
        """Everything, in Prometheus' text format."""
        elections = {each.id: each for each in report.timeline if each.kind == "leader"}
        for event in elections.values():
            if event.id not in self._counted:
                self._elections.labels(event.group).inc()
        # By id, since an older event may turn out to be one; the timeline is bounded.
        self._counted = elections.keys()
        of_report = CollectorRegistry()
        of_report.register(_Reported(report))
        return generate_latest(self._registry) + generate_latest(of_report)


class _Reported:
    """The gauges that a report of the cluster fills."""

    def __init__(self, report: ClusterReport) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        yield from self._of_groups()
        yield from self._of_replicas()
        yield from self._of_console()

    def _of_groups(self) -> Iterable[Metric]:
        groups = self._report.groups
        for name, text, field in (
            ("commit_index", "The highest index committed.", "commit"),
            ("term", "The term.", "term"),
            ("alive", "Members alive.", "alive"),
            ("writes_per_second", "Entries committed lately.", "writes_per_second"),
        ):
            gauge = GaugeMetricFamily(f"cartnet_group_{name}", text, labels=["group"])
            for group in groups:
                gauge.add_metric([group.name], getattr(group, field))
            yield gauge
        leads = GaugeMetricFamily(
            "cartnet_group_has_leader", "1: it can decide.", labels=["group"]
        )
        for group in groups:
            leads.add_metric([group.name], group.leader is not None)
        yield leads

    def _of_replicas(self) -> Iterable[Metric]:
        replicas = self._report.replicas
        up = GaugeMetricFamily(
            "cartnet_replica_alive", "1: it answers.", labels=["group", "replica"]
        )
        leads = GaugeMetricFamily(
            "cartnet_replica_leads", "1: it leads.", labels=["group", "replica"]
        )
        for replica in replicas:
            labels = [replica.group, replica.name]
            up.add_metric(labels, replica.state == "alive")
            leads.add_metric(labels, replica.role == "leader")
        yield up
        yield leads
        for name, text, field in (
            ("term", "Its term.", "term"),
            ("commit_index", "Its commit index.", "commit"),
            ("applied_index", "The last index that it has applied.", "applied"),
            ("lag_entries", "Committed entries that it has yet to apply.", "lag"),
            ("queue_depth", "Messages and proposals that wait.", "queue_depth"),
            ("connections", "Its connections.", "connections"),
            ("database_bytes", "The size of its database.", "database_bytes"),
        ):
            gauge = GaugeMetricFamily(
                f"cartnet_replica_{name}", text, labels=["group", "replica"]
            )
            for replica in replicas:
                value = getattr(replica, field)
                if replica.state == "alive" and value is not None:
                    gauge.add_metric([replica.group, replica.name], value)
            yield gauge

    def _of_console(self) -> Iterable[Metric]:
        load = self._report.load
        yield GaugeMetricFamily(
            "cartnet_websockets", "WebSockets open.", value=load.websockets
        )
        yield GaugeMetricFamily(
            "cartnet_event_loop_delay_seconds",
            "The longest that a due timer has waited lately.",
            value=load.loop_delay_ms / 1000,
        )
        conserved = GaugeMetricFamily(
            "cartnet_stock_conserved", "1: the stock of every item adds up."
        )
        if self._report.conservation.conserved is not None:
            conserved.add_metric([], self._report.conservation.conserved)
        yield conserved
