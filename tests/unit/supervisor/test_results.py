"""From what a pipeline saw to the outbox and the live topics."""

from collections.abc import Sequence

from edge_node.outbox.events import Draft
from edge_node.outbox.ledger import Committed
from edge_node.pipeline.observation import Observation
from edge_node.supervisor.contexts import Contexts
from edge_node.supervisor.device import Loaded
from edge_node.supervisor.results import Results
from protos.deployment import Live
from protos.result import Classified, LatencyMs
from tests.unit.supervisor.world import deployment, desired, session

SEEN = Observation("shelf", session().key, 1_000_000, LatencyMs(0, 1, 2, 0), "classification", (Classified("a", 1, 0),))
LOADED = {session().key: Loaded(session(), "stub", "cpu")}


def contexts(topic: str | None = "edge/v1/live/store/cam/shelf") -> Contexts:
    return Contexts(LOADED, lambda: desired(deployment()), lambda _: topic, lambda: None)


def test_a_context_names_the_version_that_answered_and_is_made_once() -> None:
    known = contexts()
    context = known.of("shelf", session().key)
    assert context is not None
    assert (context.version, context.engine, context.site, context.clock) == (1, "stub", "store", "synced")
    assert known.of("shelf", session().key) is context
    known.forget()
    assert known.of("shelf", session().key) is not context


def test_a_clock_that_becomes_synchronized_is_believed_from_then_on() -> None:
    clock = iter([False, False, True])
    known = Contexts(LOADED, lambda: desired(deployment()), lambda _: "topic", lambda: next(clock))
    seen = []
    for _ in range(3):
        known.look_at_clock()
        context = known.of("shelf", session().key)
        assert context is not None
        seen.append(context.clock)
    assert seen == ["unsynced", "unsynced", "synced"]


def test_without_a_contact_or_for_a_stranger_there_is_no_context() -> None:
    assert contexts(topic=None).of("shelf", session().key) is None
    assert contexts().of("shelf", "stranger") is None


def test_results_go_to_the_outbox_first_and_live_once_they_are_committed() -> None:
    submitted: list[Draft] = []
    live: list[tuple[str, bytes, bool]] = []

    def publish(pipeline: str, wanted: Live, event: bytes, outputs: Sequence[object], stored: bool) -> None:
        live.append((pipeline, event, stored))

    results = Results(submitted.extend, contexts().of, lambda _: deployment().pipelines[0], wall_ns=lambda: 6_000_000)
    results.live = publish
    results.observed([SEEN, Observation("shelf", "stranger", 0, SEEN.latency_ms, "classification", ())])
    assert (len(submitted), results.unknown, live) == (1, 1, [])
    results.committed([Committed(submitted[0], 1, b"event", stored=True)])
    assert live == [("shelf", b"event", True)]
    assert results.tallies["shelf"].results == 1
    assert list(results.tallies["shelf"].latencies_ms) == [5.0]
