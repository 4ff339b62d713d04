"""A candidate beside the current version on a node, with real workers, captures and models; without a coordinator."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge_node.config import Source
from edge_node.supervisor.steps import bundle_subject
from edge_node.telemetry.system import own_memory_kb
from edge_node.worker.liveness import Limits
from edge_node.worker.taking import sampled
from protos.evidence import ReportedShadow, Shadow, merged, quantile
from tests.conformance.worker_world import photos, stub_bundle
from tests.integration.shadow_world import Node, node
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)

HASTY = Limits(busy_s=0.25)
"""a candidate has four times as long"""
AFTER_PROOF = 60
"""runs of a session; its proof takes fewer"""


@pytest.fixture
async def looping(tmp_path: Path) -> AsyncIterator[Node]:
    """A node that looks at photos, 30 a second, for ever, with version 1 in service."""
    async with node(tmp_path, Source(str(photos(tmp_path / "photos", 30)), fps=30, loop=True), HASTY) as one:
        one.current = one.put(stub_bundle(tmp_path / "one"), 1)
        one.want(one.current)
        await one.serves()
        yield one


def shadow(node: Node, bundle: Path, **changes: object) -> Shadow:
    """Version 2 is this bundle."""
    fields = {"rollout": "r1", "model": "m", "version": 2, "digest": node.put(bundle, 2), "report_s": 1.0}
    return Shadow(**{**fields, **changes})  # type: ignore[arg-type]


async def told_when(node: Node, condition: Callable[[ReportedShadow], object], what: str) -> ReportedShadow:
    """What the node reports of its shadow once that holds."""
    await until(lambda: (told := node.told()) is not None and condition(told), what)
    told = node.told()
    assert told is not None
    return told


def compared(told: ReportedShadow) -> int:
    return merged(told.evidence).compared


async def test_answers_to_the_same_frames_are_compared_and_none_of_the_candidate_leaves(looping: Node) -> None:
    two = stub_bundle(looping.folder / "two", delay_ms=1.0)
    looping.want(looping.current, shadow(looping, two))
    told = await told_when(looping, lambda told: compared(told) >= 30, "comparisons")
    candidate, reference = merged(told.evidence), merged(told.reference)
    assert candidate.compared == candidate.agreed == candidate.samples == reference.samples
    assert candidate.classes == reference.classes == {"1": candidate.samples}
    assert (told.state, candidate.errors, candidate.distance) == ("on", 0, 0.0)
    assert (quantile(candidate.latency, 0.5) or 0) >= 1.0
    assert {seen.session for seen in looping.seen} == {looping.device.pipelines["shelf"].session.key}
    assert len({seen.captured_ns for seen in looping.seen}) == len(looping.seen)
    # and without it in the document it goes, with its bundle
    worker = looping.run.worker
    looping.want(looping.current)
    await until(lambda: looping.device.known == {looping.current}, "the candidate's bundle to be removed")
    assert looping.told() is None
    assert worker is not None
    assert worker.pid is not None
    assert own_memory_kb(worker.pid) is None


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"crash_from": 0}, "was killed by SIGSEGV while proving"),
        ({"crash_from": AFTER_PROOF}, "was killed by SIGSEGV while running pipeline shelf"),
        ({"hang_from": AFTER_PROOF}, "it hung (an inference of pipeline shelf runs for "),
        ({"fail_from": AFTER_PROOF}, "pipeline 'shelf' fails with it: the stub fails"),
        ({"grow_mb": 4.0}, "more than the shadow's memory_mb = 120"),
    ],
    ids=["crash in proof", "crash beside", "hang", "failing", "growing"],
)
async def test_a_bad_candidate_ends_with_its_reason_and_costs_the_current_version_nothing(
    looping: Node, behaviour: dict[str, float], reason: str
) -> None:
    worker = looping.device.worker
    bad = stub_bundle(looping.folder / "bad", **behaviour)
    looping.want(looping.current, shadow(looping, bad, memory_mb=120))
    told = await told_when(looping, lambda told: told.state == "failed", "the shadow to fail")
    assert reason in told.reason
    assert "\n" not in told.reason
    await looping.serves(10)
    assert looping.device.worker is worker
    assert looping.device.worker_deaths == 0
    assert looping.device.failures.keys() <= {bundle_subject(looping.run.shadow.digest)}
    await until(lambda: looping.run.worker is None, "the candidate's worker to end")
    assert looping.told() == told, "it is not tried again"


async def test_a_candidate_takes_its_share_and_watches_the_rate_of_its_pipeline(looping: Node) -> None:
    two, before = stub_bundle(looping.folder / "two"), len(looping.seen)
    looping.want(looping.current, shadow(looping, two, share=0.5), fps=10)
    told = await told_when(looping, lambda told: compared(told) >= 15, "comparisons")
    in_share = [seen for seen in looping.seen[before:] if sampled(seen.captured_ns, 0.5)]
    assert compared(told) <= len(in_share) < len(looping.seen) - before


async def test_a_candidate_follows_its_pipeline_through_a_switch(looping: Node) -> None:
    candidate = shadow(looping, stub_bundle(looping.folder / "two"))
    looping.want(looping.current, candidate)
    await told_when(looping, lambda told: compared(told) >= 5, "comparisons")
    looping.want(looping.current, candidate, top_k=1)
    await until(lambda: looping.device.pipelines["shelf"].settings.top_k == 1, "the pipeline to switch")
    await until(lambda: len(looping.run.follows) == 1 and looping.run.follows[0].settings.top_k == 1, "the shadow, too")
    before = compared(looping.told() or ReportedShadow("", 0, "on"))
    await told_when(looping, lambda told: compared(told) > before, "more comparisons")
