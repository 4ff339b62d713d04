"""Registration, renaming, applying: what is refused, and what is told."""

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import count
from typing import Literal

import msgspec
import pytest

from coordinator.api.convert import node_to_wire
from coordinator.db.control import ControlStore
from coordinator.errors import BadInput, Conflict, NotFound, Refused
from coordinator.fleet.admitted import AdmittedNodes
from coordinator.fleet.census import roots_held, take_census
from coordinator.fleet.comparison import Comparison
from coordinator.fleet.deployments import DeploymentService, Outcome
from coordinator.fleet.nodes import NodeService, Registration
from coordinator.fleet.records import Revocation
from coordinator.fleet.reports import ReportService
from protos.deployment import Deployment, Pipeline
from protos.identity import NodeId
from protos.moments import rfc3339
from protos.reported import Facts, Status
from protos.topics import Topics
from tests.unit.fleet.examples import MANIFEST, NOW

TOPICS = Topics()
NODE = NodeId("e" * 32)
SPEC = Deployment("shelf", "site=store-12", "m@1", (Pipeline("shelf", "shelf"),))


class Fleet:
    """The services on a database, and what they changed."""

    def __init__(self, store: ControlStore) -> None:
        self.store = store
        self.changed: list[NodeId] = []
        self._ids = iter(range(1, 100))
        self._ticks = count()
        self.nodes = NodeService(store, TOPICS, self._now, self._on_changed)
        self.deployments = DeploymentService(
            store, TOPICS, self._now, self._on_changed, lambda _model, _version: MANIFEST
        )

    def register(self, name: str = "cam-3", site: str = "store-12", node: str = "", **labels: str) -> NodeId:
        """A node's id."""
        identity = NodeId(node or f"{next(self._ids):032x}")
        return self.nodes.register(Registration(identity, name, site, labels, Facts(sources=("shelf",)))).id

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=next(self._ticks))

    def _on_changed(self, nodes: Collection[NodeId]) -> None:
        self.changed.extend(nodes)


@pytest.fixture
def fleet(store: ControlStore) -> Fleet:
    """No nodes; model m has version 1."""
    return Fleet(store)


def test_a_node_keeps_its_id_and_takes_new_labels_when_it_registers_again(fleet: Fleet) -> None:
    first = fleet.register(tier="test")
    assert fleet.register(node=first, tier="prod") == first
    assert fleet.nodes.show(first).node.labels == {"tier": "prod"}


def test_the_coordinators_name_for_a_known_node_wins(fleet: Fleet) -> None:
    node = fleet.register("cam-3")
    fleet.nodes.rename("cam-3", "cam-4", "store-13")
    assert fleet.nodes.register(Registration(node, "cam-3", "store-12")).full_name == "store-13/cam-4"


def test_a_name_that_another_node_has_is_refused(fleet: Fleet) -> None:
    fleet.register("cam-3")
    with pytest.raises(Conflict, match="store-12/cam-3 belongs to another node"):
        fleet.register("cam-3")
    fleet.register("cam-3", site="store-13")


def test_an_id_of_a_coordinator_before_a_restore_is_kept(fleet: Fleet) -> None:
    assert fleet.register(node="f" * 32) == "f" * 32


def test_a_node_that_was_deleted_cannot_come_back_under_its_id(fleet: Fleet) -> None:
    node = fleet.register()
    fleet.nodes.delete("cam-3")
    with pytest.raises(Refused, match="was deleted on this coordinator: enroll the device anew"):
        fleet.register(node=node)


def test_a_node_that_is_online_is_deleted_only_by_force(fleet: Fleet) -> None:
    node = fleet.register()
    reports = ReportService(fleet.store, TOPICS, lambda: NOW)
    reports.status(node, Status("online", "c1"))
    with pytest.raises(Conflict, match="store-12/cam-3 is online: stop its agent first, or delete it with --force"):
        fleet.nodes.delete("cam-3")
    fleet.nodes.delete("cam-3", force=True)
    other = fleet.register("cam-4")
    reports.status(other, Status("online", "c2"))
    reports.status(other, Status("offline", "c2"))
    fleet.nodes.delete("cam-4")


@pytest.mark.parametrize(("state", "seen"), [("online", NOW + timedelta(hours=1)), ("offline", NOW)])
def test_a_node_that_is_online_is_seen_now(fleet: Fleet, state: Literal["online", "offline"], seen: datetime) -> None:
    ReportService(fleet.store, TOPICS, lambda: NOW).status(fleet.register(), Status(state, "c1"))
    wire = node_to_wire(fleet.nodes.show("cam-3"), NOW + timedelta(hours=1))
    assert wire.last_seen == rfc3339(seen)


def test_results_of_a_deleted_or_revoked_node_are_not_taken_and_all_others_are(fleet: Fleet) -> None:
    now = [0.0]
    revoked = set[str]()
    admits = AdmittedNodes(fleet.store, revoked.__contains__, lambda: now[0])
    node = fleet.register()
    assert admits(node)
    revoked.add(node)
    assert not admits(node)  # at once
    revoked.clear()
    assert admits(NodeId("f" * 32))
    fleet.nodes.delete("cam-3")
    now[0] = 60.0
    assert not admits(node)


@pytest.mark.parametrize("is_revoked", [False, True], ids=["the control arm", "revoked"])
def test_a_revoked_node_is_concerned_by_no_deployment_and_counts_nowhere(is_revoked: bool, fleet: Fleet) -> None:
    gone, stays = fleet.register("cam-3"), fleet.register("cam-4")
    fleet.deployments.apply(SPEC, dry_run=False)
    if is_revoked:
        with fleet.store.write() as tx:
            tx.revoked.add(Revocation(gone, NOW, "admin:alice", "stolen"))
    there = ("store-12/cam-4",) if is_revoked else ("store-12/cam-3", "store-12/cam-4")
    changed = fleet.deployments.apply(msgspec.structs.replace(SPEC, strategy="stop_first"), dry_run=False)
    assert (changed.nodes, changed.matched) == (there, there)
    assert tuple(one.node.full_name for one in fleet.deployments.show("shelf").nodes) == there
    assert (take_census(fleet.store).nodes, roots_held(fleet.store)) == (len(there), {0: len(there)})
    outdated = Comparison(fleet.store, TOPICS, lambda: NOW).outdated()
    assert outdated == ((stays,) if is_revoked else (gone, stays))
    assert fleet.deployments.delete("shelf") == there


@pytest.mark.parametrize(
    ("registration", "complaint"),
    [
        (Registration(NODE, "Cam 3", "store-12"), "name 'Cam 3' is not a name"),
        (Registration(NODE, "cam-3", ""), "site '' is not a name"),
        (Registration(NODE, "cam-3", "store-12", {"a b": "c"}), "'a b' is not a label's key"),
        (Registration(NODE, "cam-3", "store-12", {"site": "c"}), "a label cannot be called 'site'"),
    ],
)
def test_a_registration_that_breaks_the_rules_is_refused(
    registration: Registration, complaint: str, fleet: Fleet
) -> None:
    with pytest.raises(BadInput, match=complaint):
        fleet.nodes.register(registration)


def test_nodes_are_listed_by_selector(fleet: Fleet) -> None:
    fleet.register("a", camera="left")
    fleet.register("b")
    assert [details.node.name for details in fleet.nodes.list("!camera")] == ["b"]
    assert [details.node.name for details in fleet.nodes.list("")] == ["a", "b"]


def test_applying_tells_what_changes_and_where(fleet: Fleet) -> None:
    fleet.register("a")
    fleet.register("b", site="store-13")
    applied = fleet.deployments.apply(SPEC, dry_run=False)
    assert applied.outcome is Outcome.CREATED
    assert applied.nodes == applied.matched == ("store-12/a",)
    assert applied.warnings == ()


def test_applying_the_same_again_changes_nothing(fleet: Fleet) -> None:
    fleet.register()
    fleet.deployments.apply(SPEC, dry_run=False)
    fleet.changed.clear()
    again = fleet.deployments.apply(SPEC, dry_run=False)
    assert (again.outcome, again.diff, again.nodes, again.matched) == (Outcome.UNCHANGED, "", (), ("store-12/cam-3",))
    assert fleet.changed == []


def test_a_dry_run_tells_the_same_and_changes_nothing(fleet: Fleet) -> None:
    fleet.register()
    fleet.changed.clear()
    dry = fleet.deployments.apply(SPEC, dry_run=True)
    assert fleet.changed == []
    assert fleet.deployments.list() == ()
    assert fleet.deployments.apply(SPEC, dry_run=False) == dry


def test_a_narrower_selector_changes_the_nodes_that_it_leaves(fleet: Fleet) -> None:
    fleet.register("a")
    fleet.register("b")
    fleet.deployments.apply(SPEC, dry_run=False)
    changed = fleet.deployments.apply(msgspec.structs.replace(SPEC, selector="name=a"), dry_run=False)
    assert (changed.outcome, changed.nodes, changed.matched) == (Outcome.CHANGED, ("store-12/b",), ("store-12/a",))


def test_a_second_deployment_with_the_same_pipeline_name_on_a_node_is_refused(fleet: Fleet) -> None:
    fleet.register()
    fleet.deployments.apply(SPEC, dry_run=False)
    other = msgspec.structs.replace(SPEC, name="other", selector="name=cam-3")
    for dry_run in (True, False):
        with pytest.raises(Conflict, match="pipeline 'shelf' of deployment 'shelf' already has that name"):
            fleet.deployments.apply(other, dry_run=dry_run)
    fleet.deployments.apply(msgspec.structs.replace(other, selector="name=cam-4"), dry_run=False)


def test_a_rename_into_a_clash_is_refused(fleet: Fleet) -> None:
    fleet.register()
    fleet.deployments.apply(SPEC, dry_run=False)
    fleet.deployments.apply(msgspec.structs.replace(SPEC, name="other", selector="name=cam-4"), dry_run=False)
    with pytest.raises(Conflict, match="as store-12/cam-4 the node would be selected by 'other', but pipeline"):
        fleet.nodes.rename("cam-3", "cam-4", "")


def test_a_node_that_registers_into_a_clash_runs_the_older_deployment_and_the_other_says_why(fleet: Fleet) -> None:
    fleet.deployments.apply(SPEC, dry_run=False)
    fleet.deployments.apply(msgspec.structs.replace(SPEC, name="z-other", selector="camera"), dry_run=False)
    fleet.register(camera="left")
    (progress,) = fleet.deployments.show("z-other").nodes
    assert progress.phase == "failed"
    assert "already has that name on this node" in progress.reason
    assert fleet.deployments.show("shelf").nodes[0].phase == "pending"


def test_an_unknown_version_is_not_found(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match="no model version m@2: see edgectl model list"):
        fleet.deployments.apply(msgspec.structs.replace(SPEC, model="m@2"), dry_run=False)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_variant_that_the_bundle_does_not_have_is_refused_with_those_that_it_has(fleet: Fleet, dry_run: bool) -> None:
    with pytest.raises(Refused, match=r"m@1 has no variant 'foo\.onnx'; it has: m\.onnx, m\.tflite"):
        fleet.deployments.apply(msgspec.structs.replace(SPEC, variant="foo.onnx"), dry_run=dry_run)


def test_an_override_that_does_not_fit_the_task_is_warned_of(fleet: Fleet) -> None:
    fleet.register()
    spec = msgspec.structs.replace(SPEC, pipelines=(Pipeline("shelf", "shelf", threshold=3, top_k=2),))
    assert fleet.deployments.apply(spec, dry_run=True).warnings == (
        "pipeline 'shelf': threshold changes nothing: it is for anomaly, and m@1 does classification",
    )


def test_a_selector_that_is_none_is_refused(fleet: Fleet) -> None:
    with pytest.raises(BadInput, match="selector 'site in': expected"):
        fleet.deployments.apply(msgspec.structs.replace(SPEC, selector="site in"), dry_run=False)


def test_a_document_that_no_message_could_hold_is_refused(fleet: Fleet) -> None:
    fleet.register()
    pipelines = tuple(Pipeline(f"pipeline-{number:05}", "s" * 60) for number in range(1000))
    with pytest.raises(Refused, match="more deployments than one message holds"):
        fleet.deployments.apply(msgspec.structs.replace(SPEC, pipelines=pipelines), dry_run=False)
    assert fleet.deployments.list() == ()


def test_deleting_what_is_not_there_is_not_found(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match="no deployment 'x': see edgectl deployment list"):
        fleet.deployments.delete("x")
    with pytest.raises(NotFound):
        fleet.nodes.delete("x")
    with pytest.raises(NotFound):
        fleet.deployments.show("x")
