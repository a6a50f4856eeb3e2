"""Metrics for Prometheus. Labels never contain message texts, keys, addresses, or values that a client can choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from yearling.api.http.json_response import JsonObject
from yearling.chat import TokenUsage
from yearling.loop import CycleCost, process_tree_cpu_s, read_joules

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_RELEASES = 50
"""Releases in the metrics: the newest."""

_RELEASE_COSTS: tuple[tuple[str, str, Callable[[CycleCost], float | None]], ...] = (
    ("yearling_release_cpu_seconds", "Processor seconds of the cycle that trained a release.", attrgetter("cpu_s")),
    ("yearling_release_joules", "Energy of the machine during that cycle.", attrgetter("joules")),
    ("yearling_lesson_cpu_seconds", "Processor seconds of training for each lesson.", attrgetter("cpu_s_per_lesson")),
    ("yearling_solved_task_cpu_seconds", "Processor seconds for each solved exam task.", attrgetter("cpu_s_per_solved_task")),
    (
        "yearling_token_change",
        "Change in the tokens of the same exam tasks: -0.1 for a tenth fewer than before.",
        attrgetter("token_change"),
    ),
)
"""Name, text and value of each metric of a release."""

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ServerMetrics:
    """The metrics of one server.

    Each scrape calls `pool_status` for the state of the engines, `job_costs` for the number and processor seconds of the jobs of
    each kind, and `release_costs` for the releases that a cycle trained, newest first, each with what the cycle cost.
    """

    def __init__(
        self,
        pool_status: Callable[[], list[JsonObject]],
        job_costs: Callable[[], Mapping[str, tuple[int, float]]] = dict,
        release_costs: Callable[[], Sequence[tuple[int, CycleCost]]] = tuple,
    ) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter("yearling_http_requests", "Number of requests.", ("route", "status"), registry=registry)
        self.request_duration_s = Histogram(
            "yearling_http_request_seconds",
            "Seconds from the request to the last byte.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "yearling_time_to_first_token_seconds",
            "Seconds from the request to the first token.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.tokens = Counter("yearling_tokens", "Number of tokens in finished answers.", ("kind",), registry=registry)
        self.requests_in_flight = Gauge("yearling_requests_in_flight", "Number of running requests.", registry=registry)
        self.answers_in_flight = Gauge("yearling_answers_in_flight", "Number of running and waiting answers.", registry=registry)
        self.answers = Counter("yearling_answers", "Number of finished answers.", registry=registry)
        registry.register(_EngineCollector(pool_status))
        self._num_answers = 0
        registry.register(_CostCollector(job_costs, lambda: self._num_answers))
        registry.register(_ReleaseCostCollector(release_costs))

    def record_usage(self, usage: TokenUsage) -> None:
        """Count the tokens of a finished answer."""
        self.answers.inc()
        self._num_answers += 1
        self.tokens.labels("prompt").inc(usage.prompt_tokens)
        self.tokens.labels("reasoning").inc(usage.reasoning_tokens)
        self.tokens.labels("answer").inc(usage.completion_tokens - usage.reasoning_tokens)

    def render(self) -> bytes:
        """All metrics in Prometheus text format."""
        return generate_latest(self._registry)


class _EngineCollector(Collector):
    """State, restarts and queue length of each engine."""

    def __init__(self, status: Callable[[], list[JsonObject]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("yearling_engine_ready", "1 if the engine answers, 0 if not.", labels=("model", "engine"))
        restarts = CounterMetricFamily("yearling_engine_restarts", "Restarts after a crash or a stall.", labels=("model",))
        waiting = GaugeMetricFamily("yearling_engine_queue", "Number of waiting answers.", labels=("model",))
        for engine in self._status():
            name = str(engine["name"])
            ready.add_metric((name, str(engine.get("engine", ""))), float(engine.get("state") == "ready"))
            restarts.add_metric((name,), float(engine.get("restarts", 0)))
            waiting.add_metric((name,), float(engine.get("queued", 0)))
        yield from (ready, restarts, waiting)


class _CostCollector(Collector):
    """What work costs: processor seconds of this server with its engines, and of jobs by kind; joules if they are measured."""

    def __init__(self, job_costs: Callable[[], Mapping[str, tuple[int, float]]], num_answers: Callable[[], int]) -> None:
        self._job_costs, self._num_answers = job_costs, num_answers

    def collect(self) -> Iterator[Metric]:
        serving_s, num_answers = _serving_cpu_s(), self._num_answers()
        yield CounterMetricFamily(
            "yearling_serving_cpu_seconds", "Processor seconds of the server and its engines.", value=serving_s
        )
        if num_answers:
            text = "Processor seconds of the server and its engines for each finished answer, since the start."
            yield GaugeMetricFamily("yearling_answer_cpu_seconds", text, value=serving_s / num_answers)
        jobs = CounterMetricFamily("yearling_jobs", "Jobs that have begun.", labels=("kind",))
        cpu_s = CounterMetricFamily("yearling_job_cpu_seconds", "Processor seconds of jobs.", labels=("kind",))
        for kind, (count, seconds) in sorted(self._job_costs().items()):
            jobs.add_metric((kind,), count)
            cpu_s.add_metric((kind,), seconds)
        yield from (jobs, cpu_s)
        joules = read_joules()
        if joules is not None:
            yield CounterMetricFamily("yearling_machine_joules", "Energy of the machine's processors.", value=joules)


class _ReleaseCostCollector(Collector):
    """What the releases cost that a cycle trained, by their numbers. What is unknown of a release is left out."""

    def __init__(self, release_costs: Callable[[], Sequence[tuple[int, CycleCost]]]) -> None:
        self._release_costs = release_costs

    def collect(self) -> Iterator[Metric]:
        costs = self._release_costs()[:MAX_RELEASES]
        for name, text, value_of in _RELEASE_COSTS:
            family = GaugeMetricFamily(name, text, labels=("release",))
            for number, cost in costs:
                value = value_of(cost)
                if value is not None:
                    family.add_metric((str(number),), value)
            yield family


def _serving_cpu_s() -> float:
    """Processor seconds of this process and of its engines, without the workers of jobs, which are its children too."""
    own = psutil.Process()
    times = own.cpu_times()
    total = times.user + times.system
    for child in own.children():
        try:
            total += 0.0 if "jobs" in child.cmdline() else process_tree_cpu_s(child)
        except psutil.Error:
            continue
    return total
