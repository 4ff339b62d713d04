"""What Prometheus reads of the serving process: names and shapes of the metrics, made when they are read.

Nothing is counted here, so a request pays only for what `statistics` adds up. Triton's names stand beside ours.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from edge_node.serving.control import ModelState, Timing
from edge_node.serving.served import Served
from edge_node.serving.server import Server
from edge_node.serving.statistics import BOUNDS_NS, Times

_MODEL = ("model", "version")
_STAGES = ("total", "queue", "input", "infer", "output")
_BUCKETS = (*(str(bound / 1e9) for bound in BOUNDS_NS), "+Inf")
_TIMINGS = {
    "cold_start": ("edge_cold_start_seconds", "From the order to load a version until it was ready to answer, newest"),
    "swap": ("edge_swap_seconds", "From the order for a version until it answered in place of the former, newest"),
}
_TRITON: tuple[tuple[str, str, Callable[[Served], float]], ...] = (
    ("nv_inference_request_success", "Requests that were answered", lambda of: of.statistics.total.count),
    ("nv_inference_request_failure", "Requests that were not", lambda of: sum(of.statistics.refused.values())),
    ("nv_inference_count", "Inferences, each of a batch counted", lambda of: of.statistics.rows),
    ("nv_inference_exec_count", "How often the engine has worked", lambda of: of.statistics.executions),
    ("nv_inference_request_duration_us", "Whole requests", lambda of: of.statistics.total.ns / 1e3),
    ("nv_inference_queue_duration_us", "In the queue", lambda of: of.statistics.queue.ns / 1e3),
    ("nv_inference_compute_input_duration_us", "Reading inputs", lambda of: of.statistics.input.ns / 1e3),
    ("nv_inference_compute_infer_duration_us", "In the engine", lambda of: of.statistics.infer.ns / 1e3),
    ("nv_inference_compute_output_duration_us", "Writing outputs", lambda of: of.statistics.output.ns / 1e3),
)
"""Triton's counters: docs/user_guide/metrics.md of triton-inference-server."""


class ServingMetrics(Collector):
    """Collects from the server whenever it is asked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._timings: dict[tuple[str, str, str], float] = {}

    def told(self, timing: Timing) -> None:
        """The parent has measured something."""
        self._timings[timing.what, timing.model, timing.version] = timing.seconds

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        models = list(self._server.models)
        yield _durations(models)
        yield _outcomes(models)
        rejected = CounterMetricFamily("edge_rejected", "Requests that were not answered, by reason", labels=["reason"])
        for reason, count in self._server.rejected.items():
            rejected.add_metric([reason], count)
        yield rejected
        yield GaugeMetricFamily("edge_requests_in_flight", "Requests that wait or are in work", self._server.in_flight)
        yield from self._measured()
        yield from _standing(self._server.index())
        yield from _aliases(models)

    def _measured(self) -> Iterator[Metric]:
        for what, (name, documentation) in _TIMINGS.items():
            family = GaugeMetricFamily(name, documentation, labels=_MODEL)
            for (measured, model, version), seconds in self._timings.items():
                if measured == what:
                    family.add_metric([model, version], seconds)
            yield family


def registry_of(metrics: ServingMetrics) -> CollectorRegistry:
    """A registry with nothing but these."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return registry


def _standing(states: Iterable[ModelState]) -> Iterator[Metric]:
    """What the models that serve run on, and which of them have fallen from their best rung."""
    on = GaugeMetricFamily("edge_model_on", "What a version runs on: engine and accelerator", labels=[*_MODEL, "rung"])
    fell = GaugeMetricFamily("edge_model_fell_back", "1: a version is not on its best rung", labels=_MODEL)
    for one in states:
        if one.state == "READY" and one.on:
            on.add_metric([one.model, one.version, one.on], 1)
            fell.add_metric([one.model, one.version], int(bool(one.fell)))
    yield from (on, fell)


def _durations(models: Iterable[Served]) -> Metric:
    family = HistogramMetricFamily(
        "edge_inference_duration_seconds", "How long requests took that were answered", labels=(*_MODEL, "stage")
    )
    for served in models:
        for stage in _STAGES:
            times: Times = getattr(served.statistics, stage)
            buckets = list(zip(_BUCKETS, map(float, times.below()), strict=True))
            family.add_metric([served.name, served.version, stage], buckets, times.ns / 1e9)
    return family


def _outcomes(models: Iterable[Served]) -> Metric:
    family = CounterMetricFamily("edge_inferences", "Requests by what became of them", labels=(*_MODEL, "outcome"))
    for served in models:
        outcomes = {"answered": served.statistics.total.count}
        outcomes |= {kind.value: count for kind, count in served.statistics.refused.items()}
        for outcome, count in outcomes.items():
            family.add_metric([served.name, served.version, outcome], count)
    return family


def _aliases(models: Iterable[Served]) -> Iterator[Metric]:
    """Triton's names have no `_total`, so they cannot be said to be counters."""
    for name, documentation, value in _TRITON:
        family = Metric(name, documentation, "unknown")
        for served in models:
            family.add_sample(name, {"model": served.name, "version": served.version}, value(served))
        yield family
    pending = Metric("nv_inference_pending_request_count", "Requests that wait", "gauge")
    for served in models:
        labels = {"model": served.name, "version": served.version}
        pending.add_sample(pending.name, labels, served.waiting)
    yield pending
