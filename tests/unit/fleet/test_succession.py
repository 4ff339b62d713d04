"""Which node goes on for which."""

from datetime import UTC, datetime

from coordinator.fleet.records import JoinTokenRecord
from coordinator.fleet.succession import follows
from protos.identity import NodeId

NOW = datetime(2026, 5, 1, tzinfo=UTC)
A, B, C = (NodeId(letter * 32) for letter in "abc")


def token(node: NodeId | None, replaces: NodeId | None) -> JoinTokenRecord:
    return JoinTokenRecord(
        digest=f"{node} {replaces}",
        site="store-12",
        name="cam-3",
        labels={},
        replaces=replaces,
        created_by="admin:a",
        created_at=NOW,
        expires_at=NOW,
        used_at=NOW if node else None,
        node=node,
    )


def test_a_node_goes_on_for_the_one_whose_place_it_took_and_for_those_before() -> None:
    tokens = (token(B, A), token(C, B))
    assert follows(tokens, B, A)
    assert follows(tokens, C, A)
    assert not follows(tokens, A, B)


def test_a_token_that_was_not_used_or_replaces_nobody_makes_no_successor() -> None:
    assert not follows((token(None, A), token(B, None)), B, A)


def test_a_ring_has_an_end() -> None:
    assert not follows((token(A, B), token(B, A)), A, C)
