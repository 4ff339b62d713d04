"""What a plan says of each node, and what it says it by."""

from dataclasses import replace

import msgspec
import pytest

from coordinator.fleet.records import Node
from coordinator.rollouts.draft import Draft
from coordinator.rollouts.planning import PlannedNode, planned
from coordinator.rollouts.records import Rollout
from coordinator.rollouts.spec import RolloutSpec, Window
from protos.bundle import Manifest, Task, Variant
from protos.deployment import Deployment
from protos.digest import Digest, digest_of
from protos.oci import BundleFile
from protos.reported import Facts, Proof, Reported, ReportedDeployment
from tests.unit.rollouts.examples import AFTER, BEFORE, NOW, a_member, a_rollout, a_spec, node

MANIFEST = Manifest("m", Task.CLASSIFICATION, (Variant("m.onnx", "onnxruntime"), Variant("m.tflite", "litert")))
SHARED, OLD, NEW = (BundleFile(name, digest_of(name.encode()), 1_000_000) for name in ("labels", "old", "new"))
PI = Facts(machine="aarch64", cores=4, memory_mb=8000, engines={"litert": "2"}, sources=("shelf",))


def a_node(number: int = 1, facts: Facts = PI, digest: Digest | None = None, p95_ms: float | None = None) -> Node:
    """A node that runs a bundle of the deployment, proven or not."""
    proof = None if p95_ms is None else Proof("proven", 1, 1.0, p95_ms)
    entry = ReportedDeployment(
        "shelf", "m", 1, digest or BEFORE, "running", variant="m.tflite", engine="litert", proof=proof
    )
    reported = Reported(node(number), 1, 1, None, "", (entry,) if digest else ())
    return Node(node(number), "store-1", f"cam-{number}", {}, facts, NOW, reported=reported)


def plan_of(
    itself: Node, fleet: tuple[Node, ...] = (), spec: RolloutSpec | None = None, rollout: Rollout | None = None
) -> PlannedNode:
    """The plan of one node."""
    draft = Draft(rollout or a_rollout(spec=spec), (a_member(wave=2),), (itself,))
    return planned(draft, MANIFEST, (SHARED, OLD), (SHARED, NEW), fleet, NOW).nodes[0]


def test_equal_hardware_predicts_latency_and_variant() -> None:
    equal = tuple(
        a_node(number, msgspec.structs.replace(PI, memory_mb=8100), AFTER, number * 10) for number in (2, 3, 4)
    )
    other = (a_node(5, msgspec.structs.replace(PI, cores=8), AFTER, 1.0), a_node(6, PI, BEFORE, 1.0))
    found = plan_of(a_node(), (*equal, *other))
    assert (found.variant, found.engine, found.p95_ms, found.proofs) == ("m.tflite", "litert", 30.0, 3)
    assert (found.wave, found.reason) == (2, "")


def test_without_a_proof_there_is_no_prediction_and_the_first_variant_that_can_run_is_named() -> None:
    found = plan_of(a_node())
    assert (found.variant, found.engine, found.p95_ms, found.proofs) == ("m.tflite", "litert", None, 0)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"engines": {"openvino": "1"}}, "no engine for m.onnx (onnxruntime), m.tflite (litert); it has: openvino"),
        ({"disk_free_mb": 1}, "2 MB to fetch, 1 MB free"),
        ({"sources": ("door",)}, "no source 'shelf'"),
        ({"engines": {}}, ""),
        ({"disk_free_mb": 2}, ""),
    ],
)
def test_what_does_not_fit_is_said(facts: dict[str, object], complaint: str) -> None:
    assert plan_of(a_node(facts=msgspec.structs.replace(PI, **facts))).reason == complaint


def test_a_pinned_variant_is_the_one() -> None:
    rollout = a_rollout()
    pinned = replace(rollout, after=msgspec.structs.replace(rollout.after, variant="m.onnx"))
    assert "no engine" in plan_of(a_node(), rollout=pinned).reason
    assert plan_of(a_node(facts=msgspec.structs.replace(PI, engines={})), rollout=pinned).variant == "m.onnx"


@pytest.mark.parametrize(("held", "fetched"), [(None, 2_000_000), (BEFORE, 1_000_000), (AFTER, 0)])
def test_only_what_a_node_lacks_is_fetched(held: Digest | None, fetched: int) -> None:
    assert plan_of(a_node(digest=held)).fetch_bytes == fetched


def test_a_window_that_is_shut_is_named_in_the_nodes_own_time() -> None:
    facts = msgspec.structs.replace(PI, timezone="Asia/Tokyo")  # 19:00 there
    assert plan_of(a_node(facts=facts), spec=a_spec(windows=(Window("22:00", "23:00"),))).window == "22:00 Asia/Tokyo"
    assert plan_of(a_node(facts=facts), spec=a_spec(windows=(Window("18:00", "23:00"),))).window == ""


def test_a_plan_to_an_older_version_says_who_has_to_permit_it() -> None:
    back = a_rollout(before=Deployment("shelf", "", "m@7"), after=Deployment("shelf", "", "m@2"))
    (warning,) = planned(Draft(back, (a_member(),), (a_node(),)), MANIFEST, (), (), (), NOW).warnings
    assert "edgectl model permit-downgrade m@2 --below 7" in warning
    other = replace(back, after=Deployment("shelf", "", "other@2"))
    assert planned(Draft(other, (a_member(),), (a_node(),)), MANIFEST, (), (), (), NOW).warnings == ()
