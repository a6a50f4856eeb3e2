"""What Prometheus is told. Counts only: no words, no keys, no addresses, and no label that a client can make up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from yearling.chat import TokenUsage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ServerMetrics:
    """The figures of one server. `pool_status` is asked at each scrape, `waiting` for answers without a place in an engine."""

    def __init__(self, pool_status: Callable[[], list[dict[str, Any]]]) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter("yearling_http_requests", "Requests.", ("route", "status"), registry=registry)
        self.request_duration_s = Histogram(
            "yearling_http_request_seconds", "From request to last byte.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.first_token_seconds = Histogram(
            "yearling_time_to_first_token_seconds", "From request to first token.", buckets=_SECONDS, registry=registry
        )
        self.tokens = Counter("yearling_tokens", "Tokens of finished answers.", ("kind",), registry=registry)
        self.requests_in_flight = Gauge("yearling_requests_in_flight", "Requests that run.", registry=registry)
        self.answers_in_flight = Gauge("yearling_answers_in_flight", "Answers that are generated or wait.", registry=registry)
        registry.register(_EngineCollector(pool_status))

    def record_usage(self, usage: TokenUsage) -> None:
        self.tokens.labels("prompt").inc(usage.prompt_tokens)
        self.tokens.labels("reasoning").inc(usage.reasoning_tokens)
        self.tokens.labels("answer").inc(usage.completion_tokens - usage.reasoning_tokens)

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _EngineCollector(Collector):
    """State, restarts and queues as the pool tells them."""

    def __init__(self, status: Callable[[], list[dict[str, Any]]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Any]:
        ready = GaugeMetricFamily("yearling_engine_ready", "1 while the engine answers.", labels=("model", "engine"))
        restarts = CounterMetricFamily("yearling_engine_restarts", "Restarts after a crash or a stall.", labels=("model",))
        waiting = GaugeMetricFamily("yearling_engine_queue", "Answers that wait for a place.", labels=("model",))
        for one in self._status():
            name = str(one["name"])
            ready.add_metric((name, str(one.get("engine", ""))), float(one.get("state") == "ready"))
            restarts.add_metric((name,), float(one.get("restarts", 0)))
            waiting.add_metric((name,), float(one.get("queued", 0)))
        yield from (ready, restarts, waiting)
