"""Metrics for Prometheus: counted as plain numbers where things happen, named here when asked for.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from mwl.find import Worklist
from mwl.net.journal import LATENCY_BOUNDS_S, Journal

if TYPE_CHECKING:
    from mwl.audit.trail import Trail

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of metrics: the text format of Prometheus."""


class Metrics(Collector):
    """The metrics of a server.

    Args:
        journal: The queries.
        worklists: Gives the worklists in use, by folder.
        associations: Gives how many associations are open.
        counts: How often each event of the log happened.
        days_left: Gives the days for which certificates are valid, by the option that names them.
        limit_refusals: How often each limit was gone beyond, by the name of its option.
        trail: The audit trail; None without.
    """

    def __init__(
        self,
        journal: Journal,
        worklists: Callable[[], Mapping[str, Worklist]],
        associations: Callable[[], int],
        counts: Mapping[str, int],
        days_left: Callable[[], Mapping[str, float]],
        limit_refusals: Mapping[str, int],
        trail: "Trail | None" = None,
    ) -> None:
        self._journal = journal
        self._worklists = worklists
        self._associations = associations
        self._counts = counts
        self._days_left = days_left
        self._limit_refusals = limit_refusals
        self._trail = trail
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def __call__(self) -> bytes:
        """Give all as text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Give every metric as it is now."""
        yield from self._of_queries()
        yield from self._of_folders()
        yield from self._of_associations()
        yield from self._of_limits()
        yield from self._of_certificates()
        if self._trail is not None:
            yield from _of_audit(self._trail)

    def describe(self) -> Iterator[Metric]:
        """Give none: the names are known when they are collected."""
        return iter(())

    def _of_queries(self) -> Iterator[Metric]:
        journal = self._journal
        queries = CounterMetricFamily(
            "mwl_queries",
            "Queries that ended, by calling AE title and DIMSE status.",
            labels=["caller", "status"],
        )
        for (caller, status), count in sorted(journal.by_caller.items()):
            queries.add_metric([caller, f"{status:04X}"], count)
        yield queries
        yield CounterMetricFamily("mwl_answers", "Answers sent.", journal.answers)
        bounds = [*map(str, LATENCY_BOUNDS_S), "+Inf"]
        yield HistogramMetricFamily(
            "mwl_query_seconds",
            "Time from a query to its final response.",
            buckets=list(zip(bounds, map(float, accumulate(journal.latencies)), strict=True)),
            sum_value=journal.milliseconds / 1000,
        )

    def _of_folders(self) -> Iterator[Metric]:
        rows = (
            (GaugeMetricFamily, "mwl_items", "Items served.", _items),
            (GaugeMetricFamily, "mwl_files_skipped", "Files not served for a fault.", _skipped),
            (CounterMetricFamily, "mwl_cache_hits", "Queries answered from a result.", _hits),
            (CounterMetricFamily, "mwl_cache_misses", "Queries tried on items.", _misses),
            (GaugeMetricFamily, "mwl_cache_bytes", "Memory of kept results.", _cached),
        )
        opened = self._worklists()
        for kind, name, help_text, value in rows:
            family = kind(name, help_text, labels=["folder"])
            for folder, worklist in opened.items():
                family.add_metric([folder], value(worklist))
            yield family

    def _of_associations(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "mwl_associations_open", "Associations that are open.", self._associations()
        )
        for name, event, help_text in (
            ("mwl_associations", "association", "Associations that ended."),
            (
                "mwl_associations_refused",
                "association_refused",
                "Associations and operations refused.",
            ),
            ("mwl_users_refused", "user_refused", "Associations rejected for their user."),
            ("mwl_tls_refused", "tls_refused", "Connections on which no TLS was agreed upon."),
            ("mwl_peer_errors", "peer_error", "Breaches of the protocol by peers."),
            ("mwl_reloads_failed", "reload_failed", "Configurations that could not be taken over."),
            ("mwl_internal_errors", "internal_error", "Faults of this program."),
        ):
            yield CounterMetricFamily(name, help_text, self._counts[event])

    def _of_limits(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "mwl_limit_refusals",
            "How often somebody went beyond a limit, by the name of its option.",
            labels=["limit"],
        )
        for limit, count in self._limit_refusals.items():
            family.add_metric([limit], count)
        yield family

    def _of_certificates(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "mwl_certificate_days_left",
            "Days until a certificate expires, by the option that names its file.",
            labels=["option"],
        )
        for option, days in sorted(self._days_left().items()):
            family.add_metric([option], round(days, 3))
        if family.samples:
            yield family


def _of_audit(trail: "Trail") -> Iterator[Metric]:
    yield CounterMetricFamily(
        "mwl_audit_sent", "Audit messages that reached their destination.", trail.sent
    )
    yield CounterMetricFamily("mwl_audit_dropped", "Audit messages that were lost.", trail.dropped)
    yield GaugeMetricFamily(
        "mwl_audit_waiting", "Audit messages that have not arrived yet.", trail.waiting
    )


def _items(worklist: Worklist) -> int:
    return len(worklist.catalog)


def _skipped(worklist: Worklist) -> int:
    return len(worklist.catalog.unreadable)


def _hits(worklist: Worklist) -> int:
    return worklist.results.hits


def _misses(worklist: Worklist) -> int:
    return worklist.results.evaluations


def _cached(worklist: Worklist) -> int:
    return worklist.results.kept_bytes
