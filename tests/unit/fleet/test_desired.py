"""What each node should run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from coordinator.fleet.desired import (
    LIFETIME,
    MAX_EPOCHS_AHEAD,
    Stamp,
    compile_node,
    decode,
    next_document,
    selected,
    was_not_issued_here,
)
from coordinator.fleet.records import Issued, Node
from protos.desired import state_digest
from protos.digest import digest_of
from tests.unit.fleet.examples import DIGEST, a_deployment, a_node

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def issue(
    node: Node, *deployments: str, held: Issued | None = None, epoch: int = 1, at: datetime = NOW
) -> Issued | None:
    """The next document of a node under deployments of these names, each with a pipeline of its own."""
    applied = [a_deployment(name, pipeline=name) for name in deployments]
    return next_document(node, compile_node(node, applied), held, Stamp(epoch, at))


def issued(node: Node, *deployments: str, held: Issued | None = None, epoch: int = 1) -> Issued:
    """The same, where there is one."""
    document = issue(node, *deployments, held=held, epoch=epoch)
    assert document is not None
    return document


def test_a_selector_sees_labels_site_and_name() -> None:
    nodes = (a_node("a", camera="left"), a_node("b"), a_node("c", site="store-13", camera="left"))
    assert [node.name for node in selected(a_deployment(selector="camera=left,site=store-12"), nodes)] == ["a"]
    assert [node.name for node in selected(a_deployment(selector="name in (b,c)"), nodes)] == ["b", "c"]
    assert selected(a_deployment(selector=""), nodes) == nodes


def test_a_deployment_reaches_a_node_with_its_version_resolved_to_a_digest() -> None:
    (deployment,) = compile_node(a_node(), [a_deployment()]).deployments
    assert (deployment.model, deployment.version, deployment.digest) == ("mobilenet", 1, DIGEST)


def test_a_deployment_that_does_not_select_a_node_does_not_reach_it() -> None:
    compiled = compile_node(a_node(site="store-13"), [a_deployment()])
    assert compiled.deployments == ()
    assert compiled.refused == {}


def test_of_two_deployments_with_one_pipeline_name_the_older_has_it_and_the_reason_is_told() -> None:
    compiled = compile_node(a_node(), [a_deployment("z-old"), a_deployment("a-new", after_s=1)])
    assert [deployment.name for deployment in compiled.deployments] == ["z-old"]
    assert compiled.refused == {"a-new": "pipeline 'shelf' of deployment 'z-old' already has that name on this node"}


def test_the_first_document_of_a_node_has_revision_one_even_with_nothing_to_run() -> None:
    document = decode(issued(a_node()))
    assert (document.epoch, document.revision, document.deployments) == (1, 1, ())
    assert (document.name, document.site) == ("cam-3", "store-12")


def test_a_document_that_would_say_the_same_is_not_issued_again() -> None:
    node = a_node()
    held = issued(node, "a", "b")
    assert issue(node, "b", "a", held=held, at=LATER) is None


def test_every_change_raises_the_revision_by_one() -> None:
    node = a_node()
    first = issued(node)
    second = issued(node, "a", held=first)
    renamed = issued(replace(node, name="cam-4"), "a", held=second)
    assert [document.revision for document in (first, second, renamed)] == [1, 2, 3]
    assert decode(renamed).name == "cam-4"


def test_a_higher_epoch_issues_everything_anew() -> None:
    node = a_node()
    again = issued(node, "a", held=issued(node, "a"), epoch=2)
    assert (again.epoch, again.revision) == (2, 2)


def test_the_digest_is_that_of_the_payload() -> None:
    document = issued(a_node(), "a")
    assert document.digest == state_digest(document.payload)


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_deployments_does_not_change_the_document(order: list[str]) -> None:
    node = a_node()
    assert issued(node, *order) == issued(node, "a", "b", "c", "d")


OTHER = digest_of(b"of another history")


def test_a_node_that_holds_newer_than_was_issued_holds_what_was_not_issued_here() -> None:
    held = issued(a_node())
    assert was_not_issued_here(1, 2, OTHER, 1, held)
    assert was_not_issued_here(2, 1, OTHER, 1, held)
    assert not was_not_issued_here(1, 1, held.digest, 1, held)
    assert not was_not_issued_here(1, 0, OTHER, 1, held)


def test_the_newest_number_with_other_content_was_not_issued_here() -> None:
    assert was_not_issued_here(1, 1, OTHER, 1, issued(a_node()))


def test_a_hello_cannot_push_the_epoch_out_of_sight() -> None:
    held = issued(a_node())
    assert was_not_issued_here(1 + MAX_EPOCHS_AHEAD, 1, OTHER, 1, held)
    assert not was_not_issued_here(2 + MAX_EPOCHS_AHEAD, 1, OTHER, 1, held)


def test_a_node_without_a_document_holds_nothing_of_another_history() -> None:
    assert not was_not_issued_here(5, 5, OTHER, 1, None)
    assert not was_not_issued_here(5, 5, None, 1, issued(a_node()))


def test_documents_hold_no_defaults_so_that_a_new_key_changes_no_digest() -> None:
    assert b"live" not in issued(a_node(), "a").payload
    assert msgspec.json.decode(issued(a_node(), "a").payload)["deployments"][0]["pipelines"] == [
        {"name": "a", "source": "shelf"}
    ]


def test_a_document_is_issued_again_at_half_of_its_life_and_says_the_same() -> None:
    node = a_node()
    held = issued(node, "a")
    assert issue(node, "a", held=held, at=NOW + LIFETIME / 2 - timedelta(seconds=1)) is None
    again = issue(node, "a", held=held, at=NOW + LIFETIME / 2)
    assert again is not None
    before, after = decode(held), decode(again)
    assert after.deployments == before.deployments
    assert (before.expires_at, after.expires_at) == (NOW + LIFETIME, NOW + LIFETIME / 2 + LIFETIME)
    assert after.revision == before.revision + 1


def test_a_new_trust_root_is_told_with_the_next_document() -> None:
    held = issued(a_node(), "a")
    told = next_document(a_node(), compile_node(a_node(), [a_deployment("a", pipeline="a")]), held, Stamp(1, NOW, 2))
    assert told is not None
    assert decode(told).trust_root == 2


def test_a_document_from_before_expiry_existed_is_issued_again() -> None:
    held = issued(a_node(), "a")
    old = msgspec.structs.replace(decode(held), expires_at=None)
    assert issue(a_node(), "a", held=replace(held, payload=msgspec.json.encode(old))) is not None
