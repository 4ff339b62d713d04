"""The trust root: who may change whose signatures count."""

import json
from dataclasses import dataclass

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protos.envelope import RELEASE, TRUST_ROOT, public_bytes, seal
from protos.errors import ContractError
from protos.trust import MAX_KEPT, TrustRoot, encode_root, follow, followed, newest, open_root, read_root
from tests.unit.protos.signed import ALICE, BOB, CAROL, COORDINATOR, MALLORY, NOW, YEAR, root, sealed_root, signers

FIRST = sealed_root(root())


def test_the_first_root_is_pinned_and_the_next_must_follow_it() -> None:
    second = sealed_root(root(2, (BOB,)), ALICE, BOB)
    assert newest(()) is None
    assert followed((), (FIRST,)) == (FIRST,)
    assert followed((), (FIRST, second)) == followed((FIRST,), (second,)) == (FIRST, second)
    assert newest((FIRST, second)) == root(2, (BOB,))


def test_what_is_held_is_not_replaced() -> None:
    other = sealed_root(root(1, (MALLORY,)), MALLORY)
    assert followed((FIRST,), (other,)) == (FIRST,)


@pytest.mark.parametrize(
    ("sealed", "complaint"),
    [
        (sealed_root(root(2, (MALLORY,)), MALLORY), "by the publishers of root 1: not signed by a key"),
        (sealed_root(root(2, (BOB,)), ALICE), "by the publishers of root 2: not signed by a key"),
        (sealed_root(root(3)), "cannot follow 1"),
        (seal(TRUST_ROOT, encode_root(root(2)), COORDINATOR), "not signed by a key"),
        (seal(RELEASE, encode_root(root(2)), ALICE), "where a"),
        (seal(TRUST_ROOT, b"{}", ALICE), "not a trust root"),
        (sealed_root(root(2, threshold=2), ALICE), "threshold 2 of 1"),
        (sealed_root(root(2, (ALICE, BOB), threshold=2), ALICE), "signed by 1 of the 2 keys"),
        (b"x" * 100_000, "not a signed document"),
    ],
    ids=["stranger", "new keys missing", "a gap", "coordinator", "other type", "nothing", "threshold", "few", "noise"],
)
def test_a_root_that_does_not_follow_is_refused(sealed: bytes, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        followed((FIRST,), (sealed,))


def test_old_roots_that_are_many_are_forgotten_but_the_chain_goes_on() -> None:
    roots = followed((), tuple(sealed_root(root(number)) for number in range(1, 20)))
    assert len(roots) == MAX_KEPT
    assert open_root(roots[-1]).version == 19


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": 2**31},
        {"threshold": 0},
        {"publishers": ()},
        {"publishers": signers(ALICE, ALICE)},
        {"coordinators": ()},
        {"publishers": signers(*(Ed25519PrivateKey.generate() for _ in range(33)))},
        {"authorities": ("not a certificate",)},
    ],
)
def test_a_root_that_nobody_could_use_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="trust root"):
        read_root(encode_root(msgspec.structs.replace(root(), **changes)))


def test_a_root_says_its_zone_and_expires() -> None:
    document = json.loads(encode_root(root()))
    document["expires"] = "2026-05-01T10:00:00"
    with pytest.raises(ContractError, match="not a trust root"):
        read_root(json.dumps(document).encode())
    assert not root().has_expired(NOW)
    assert root().has_expired(NOW + YEAR)


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode))
def test_no_bytes_break_the_reader(garbage: bytes) -> None:
    with pytest.raises(ContractError):
        read_root(garbage)
    with pytest.raises(ContractError):
        follow(root(), seal(TRUST_ROOT, garbage, ALICE))


PEOPLE = {"alice": ALICE, "bob": BOB, "carol": CAROL, "mallory": MALLORY}
some_people = st.sets(st.sampled_from(sorted(PEOPLE)), min_size=1)


@dataclass(frozen=True)
class Draft:
    """A root as the model of the test sees it."""

    publishers: frozenset[str]
    threshold: int

    def is_met_by(self, hands: frozenset[str]) -> bool:
        return len(self.publishers & hands) >= self.threshold


class RootChain(RuleBasedStateMachine):
    """Anybody proposes any next root with any signatures: it counts exactly if old and new thresholds are met."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = Draft(frozenset({"alice", "bob", "carol"}), 2)
        self.number = 1
        self.roots = followed((), (self._sealed(1, self.draft, frozenset({"alice", "bob"})),))

    @rule(publishers=some_people, threshold=st.integers(1, 3), hands=some_people, step=st.integers(0, 2))
    def propose(self, publishers: set[str], threshold: int, hands: set[str], step: int) -> None:
        draft, signing = Draft(frozenset(publishers), min(threshold, len(publishers))), frozenset(hands)
        number = self.number + step
        may = step == 1 and self.draft.is_met_by(signing) and draft.is_met_by(signing)
        try:
            self.roots = followed(self.roots, (self._sealed(number, draft, signing),))
        except ContractError:
            assert not may
        else:
            assert may or step == 0
        if may:
            self.draft, self.number = draft, number

    @invariant()
    def the_root_in_force_is_the_last_that_was_allowed(self) -> None:
        held = newest(self.roots)
        assert held is not None
        assert held.version == self.number
        assert held.publisher_keys == {public_bytes(PEOPLE[name]) for name in self.draft.publishers}

    def _sealed(self, number: int, draft: Draft, hands: frozenset[str]) -> bytes:
        publishers = tuple(PEOPLE[name] for name in sorted(draft.publishers))
        made: TrustRoot = root(number, publishers, threshold=draft.threshold)
        return sealed_root(made, *(PEOPLE[name] for name in sorted(hands)))


TestRootChain = RootChain.TestCase
TestRootChain.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
