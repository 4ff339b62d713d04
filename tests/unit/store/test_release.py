"""Which version a node adopts and loads (U4, U8): every attack beside the same thing without it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_node.errors import Refused
from edge_node.store.papers import PapersFolder
from edge_node.store.release import MAX_PAPERS, Papers, Standing, Wanted, check_release, trustworthy
from protos.digest import digest_of
from tests.unit.protos.signed import (
    ALICE,
    BOB,
    CAROL,
    COORDINATOR,
    MALLORY,
    NOW,
    YEAR,
    permit,
    release,
    root,
    sealed_permit,
    sealed_release,
)

DIGEST, OTHER = digest_of(b"bundle"), digest_of(b"other bundle")
VERSION = Wanted("m", 3, DIGEST)
PAPERS = Papers((sealed_release(release(DIGEST, version=3)),))
STANDING = Standing(roots=(root(),), floor=2, is_last_good=False, now=NOW)


def refuses(wanted: Wanted, papers: Papers, standing: Standing, why: str) -> None:
    with pytest.raises(Refused, match=why):
        check_release(wanted, papers, standing)


def test_a_released_version_above_the_floor_is_adopted() -> None:
    check_release(VERSION, PAPERS, STANDING)


def test_arbitrary_models_are_refused_whoever_orders_them() -> None:
    for signer in (COORDINATOR, MALLORY):
        forged = Papers((sealed_release(release(DIGEST, version=3), signer),))
        refuses(VERSION, forged, STANDING, "not signed by a key that is trusted here")
    refuses(VERSION, Papers(), STANDING, "no release says that this bundle is that version")
    refuses(VERSION, Papers((b"", b"{}", b"\xff")), STANDING, "no release|not valid")


def test_mix_and_match_is_refused() -> None:
    """The release of another version, model or bundle says nothing about this one."""
    for wanted in (Wanted("m", 3, OTHER), Wanted("m", 4, DIGEST), Wanted("n", 3, DIGEST)):
        refuses(wanted, PAPERS, STANDING, "no release says")
    two = Papers((*PAPERS.releases, sealed_release(release(OTHER, version=4))))
    check_release(Wanted("m", 4, OTHER), two, STANDING)
    refuses(Wanted("m", 4, DIGEST), two, STANDING, "no release says")


def test_a_threshold_is_not_met_by_one_publisher() -> None:
    two = replace(STANDING, roots=(root(publishers=(ALICE, BOB), threshold=2),))
    refuses(VERSION, PAPERS, two, "signed by 1 of the 2 keys")
    check_release(VERSION, Papers((sealed_release(release(DIGEST, version=3), ALICE, BOB),)), two)


def test_a_node_without_a_root_adopts_nothing() -> None:
    refuses(VERSION, PAPERS, replace(STANDING, roots=()), "no trust root yet")


def test_a_rollback_is_refused_and_a_permit_allows_it() -> None:
    proven = replace(STANDING, floor=5)
    check_release(VERSION, PAPERS, replace(STANDING, floor=3))  # the control arm
    refuses(VERSION, PAPERS, proven, "only the publisher can order a downgrade")
    check_release(VERSION, replace(PAPERS, downgrades=(sealed_permit(permit(DIGEST, 3, 5)),)), proven)


@pytest.mark.parametrize(
    ("sealed", "floor"),
    [
        (sealed_permit(permit(DIGEST, 3, 5), COORDINATOR), 5),
        (sealed_permit(permit(DIGEST, 3, 5), MALLORY), 5),
        (sealed_permit(permit(DIGEST, 3, 5)), 6),
        (sealed_permit(permit(DIGEST, 3, 5, expires=NOW)), 5),
        (sealed_permit(permit(OTHER, 3, 5)), 5),
        (sealed_permit(permit(DIGEST, 2, 5)), 5),
        (sealed_permit(permit(DIGEST, 3, 5, model="n")), 5),
    ],
    ids=["coordinator", "stranger", "a newer floor", "expired", "other bundle", "other version", "other model"],
)
def test_a_permit_counts_for_what_it_says_and_no_more(sealed: bytes, floor: int) -> None:
    refuses(VERSION, replace(PAPERS, downgrades=(sealed,)), replace(STANDING, floor=floor), "only the publisher")


def test_the_last_good_version_is_always_allowed_again() -> None:
    """Also below the floor, after its release and the root have expired, and after its signer was removed."""
    expired = Papers((sealed_release(release(DIGEST, version=3, expires=NOW)),))
    good = Standing((root(), root(2, (BOB,), expires=NOW)), floor=9, is_last_good=True, now=NOW + YEAR)
    check_release(VERSION, expired, good)
    refuses(VERSION, Papers((sealed_release(release(DIGEST, version=3), MALLORY),)), good, "not valid here")
    refuses(Wanted("m", 3, OTHER), expired, good, "no release says")


def test_what_has_expired_is_not_adopted_anew() -> None:
    """Freeze: whoever keeps newer statements back cannot make an old one new."""
    dated = Papers((sealed_release(release(DIGEST, version=3, expires=NOW + timedelta(days=1))),))
    check_release(VERSION, dated, STANDING)
    refuses(VERSION, dated, replace(STANDING, now=NOW + timedelta(days=1)), "its release has expired")
    refuses(VERSION, PAPERS, replace(STANDING, now=NOW + YEAR), "trust root 1 has expired")


def test_after_a_rotation_the_old_publisher_cannot_release_any_more() -> None:
    rotated = replace(STANDING, roots=(root(), root(2, (BOB,))))
    refuses(VERSION, PAPERS, rotated, "not signed by a key that is trusted here")
    check_release(VERSION, Papers((*PAPERS.releases, sealed_release(release(DIGEST, version=3), BOB))), rotated)


def test_only_what_publishers_signed_is_kept(tmp_path: Path) -> None:
    """A stolen coordinator cannot push a valid paper out of the store with rubbish."""
    rubbish = (*[sealed_release(release(DIGEST, version=3), MALLORY)] * MAX_PAPERS, b"x")
    kept = trustworthy(Papers((*rubbish, *PAPERS.releases), rubbish), (root(),))
    assert kept == PAPERS
    folder = PapersFolder(tmp_path)
    folder.keep(DIGEST, PAPERS)
    folder.keep(DIGEST, trustworthy(Papers(rubbish), (root(),)))
    assert folder.get(DIGEST) == PAPERS
    folder.remove(DIGEST)
    assert folder.get(DIGEST) == Papers()


def test_damaged_papers_are_as_good_as_none(tmp_path: Path) -> None:
    folder = PapersFolder(tmp_path)
    folder.keep(DIGEST, PAPERS)
    (file,) = (tmp_path / "releases").iterdir()
    for content in (b"", b"\xff", b"[]", file.read_bytes()[:-3]):
        file.write_bytes(content)
        assert folder.get(DIGEST) == Papers()


people = {"alice": ALICE, "bob": BOB, "carol": CAROL, "mallory": MALLORY, "coordinator": COORDINATOR}
hands = st.sets(st.sampled_from(sorted(people)))


@given(
    signed_by=hands,
    permitted_by=hands,
    threshold=st.integers(1, 3),
    version=st.integers(1, 4),
    floor=st.integers(0, 5),
    below=st.integers(2, 6),
)
def test_a_version_is_adopted_exactly_if_enough_publishers_said_so(
    signed_by: set[str], permitted_by: set[str], threshold: int, version: int, floor: int, below: int
) -> None:
    publishers = {"alice", "bob", "carol"}
    standing = Standing((root(publishers=(ALICE, BOB, CAROL), threshold=threshold),), floor, False, NOW)
    papers = Papers(
        (sealed_by(release(DIGEST, version=version), signed_by, sealed_release),),
        (sealed_by(permit(DIGEST, version, below), permitted_by, sealed_permit),),
    )
    released = len(signed_by & publishers) >= threshold
    permitted = len(permitted_by & publishers) >= threshold and floor <= below and version < below
    try:
        check_release(Wanted("m", version, DIGEST), papers, standing)
    except Refused:
        assert not (released and (version >= floor or permitted))
    else:
        assert released
        assert version >= floor or permitted


def sealed_by(made: object, names: set[str], seal_one: object) -> bytes:
    keys: list[Ed25519PrivateKey] = [people[name] for name in sorted(names)]
    return seal_one(made, *(keys or [MALLORY]))  # type: ignore[operator, no-any-return]
