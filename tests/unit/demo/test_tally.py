"""What the demo makes of results: the truth of a looped clip, and the numbers."""

import pytest

from coordinator.cli.demo_tally import Interval, Tally, Truth, accuracy, quantile
from protos.digest import Digest
from protos.identity import NodeId, StreamId
from protos.result import Classified, Data, Event, LatencyMs

TRUTH = Truth("line.mp4", 20, 10.0, (Interval(0.0, 2.0, "empty"), Interval(3.0, 5.0, "scratch")))


def result(label: str, stream_time_s: float | None) -> Event[Classified]:
    data = Data(
        node=NodeId("n"), site="a", name="cam", pipeline="p", stream=StreamId("s"), seq=1, model="m", version=1,
        digest=Digest("d"), engine="litert", accelerator="cpu", captured_at="", clock="synced", late=False,
        latency_ms=LatencyMs(1, 2, 3, 0.5), outputs=(Classified(label, 0.9, 0),), stream_time_s=stream_time_s,
    )  # fmt: skip
    return Event("t", "s/1", "src", "", "urn", data)


@pytest.mark.parametrize(
    ("at_s", "label"),
    [(0.0, "empty"), (1.999, "empty"), (2.0, None), (3.0, "scratch"), (5.0, None), (9.9, None), (13.5, "scratch")],
)
def test_the_truth_of_a_moment_is_its_interval_in_every_round_of_the_clip(at_s: float, label: str | None) -> None:
    assert TRUTH.at(at_s) == label


def test_only_results_of_moments_with_a_known_truth_are_judged() -> None:
    tally = Tally()
    for label, at_s in (("empty", 1.0), ("good", 3.5), ("good", 2.5), ("scratch", 4.0), ("good", None)):
        tally.add(result(label, at_s), TRUTH, captured_s=100.0, now_s=100.1)
    assert (tally.results, tally.judged, tally.right) == (5, 3, 2)


def test_the_latency_of_a_result_is_the_sum_of_its_stages_and_delivery_counts_from_capture() -> None:
    tally = Tally()
    tally.add(result("good", 3.5), TRUTH, captured_s=100.0, now_s=100.25)
    assert list(tally.latencies_ms) == [6.5]
    assert list(tally.delivery_ms) == [pytest.approx(250)]


def test_a_rate_counts_only_the_newest_window() -> None:
    tally = Tally()
    for now_s in (1.0, 9.0, 9.5, 10.0):
        tally.add(result("good", None), TRUTH, captured_s=0.0, now_s=now_s)
    assert tally.rate(10.0) == 1.5


def test_quantiles_are_values_that_were_seen_and_absent_without_any() -> None:
    assert quantile(range(1, 101), 0.5) == 51
    assert quantile([7.0], 0.95) == 7.0
    assert quantile([], 0.5) is None


def test_accuracy_pools_the_nodes_and_is_absent_where_nothing_was_judged() -> None:
    assert accuracy([Tally(judged=10, right=9), Tally(judged=30, right=30)]) == 39 / 40
    assert accuracy([Tally()]) is None
