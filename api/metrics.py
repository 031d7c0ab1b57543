"""What /metrics shows: counts and durations by route template and status, and the state of the
index and the database. Labels are our own names only, never anything that was sent."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency histogram, in seconds."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def shown_method(method: str) -> str:
    """The method as metrics and logs name it. Anybody may send one of their own making, which says
    whatever they like: those share one name."""
    return method if method in METHODS else "other"


class _Series:
    """The requests of one route, method and status."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class Requests(Collector):
    """Counts on the hot path with a dictionary and a bisection; prometheus-client's own histogram
    takes a lock and a Python loop for each request, which a search of 100 µs would feel."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._series: dict[tuple[str, str, int], _Series] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        key = (route, method, status)
        series = self._series.get(key)
        if series is None:
            key = (route, shown_method(method), status)
            series = self._series.setdefault(key, _Series())
        series.buckets[bisect_left(BOUNDS, seconds)] += 1
        series.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily(
            "clinicway_request_duration_seconds",
            "Time from the request's arrival to the end of the answer",
            labels=["route", "method", "status"],
        )
        for (route, method, status), series in sorted(self._series.items()):
            bounds = [*(repr(bound) for bound in BOUNDS), "+Inf"]
            counts = accumulate(series.buckets)
            duration.add_metric(
                [route, method, str(status)],
                list(zip(bounds, counts, strict=True)),
                series.seconds,
            )
        yield duration
        yield GaugeMetricFamily(
            "clinicway_requests_in_flight", "Requests being answered", value=self.in_flight
        )


class Gauges(Collector):
    """Gauges that are read when they are asked for. One that gives None is left out."""

    def __init__(self, read: Callable[[], dict[str, tuple[str, float | None]]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for name, (words, value) in self._read().items():
            if value is not None:
                yield GaugeMetricFamily(name, words, value=value)


def make_registry(*collectors: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
