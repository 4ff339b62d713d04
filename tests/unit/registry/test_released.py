"""Whether a version can be deployed, as a person is told, and which signatures are kept."""

from datetime import timedelta

import pytest

from coordinator.errors import BadInput, NearfieldError, Refused
from coordinator.registry.records import Version
from coordinator.registry.released import checked_permit, checked_release, merged, standing
from protos.digest import digest_of
from protos.release import MAX_ENVELOPE
from protos.trust import TrustRoot
from tests.unit.protos.signed import (
    ALICE,
    BOB,
    MALLORY,
    NOW,
    permit,
    release,
    root,
    sealed_permit,
    sealed_release,
)

DIGEST = digest_of(b"bundle")
VERSION = Version("m", 1, DIGEST, "tensor", 1, NOW, ())
GOOD = sealed_release(release(DIGEST))
TWO = root(publishers=(ALICE, BOB), threshold=2)


@pytest.mark.parametrize(
    ("held", "by", "signed_by", "why"),
    [
        (GOOD, root(), ("k0",), ""),
        (None, root(), (), "m@1 is not released: sign it with edgectl model sign m@1 --key FILE"),
        (GOOD, None, (), "no trust root yet"),
        (GOOD, TWO, ("k0",), "signed by 1 of the 2 keys"),
        (sealed_release(release(DIGEST), MALLORY), root(), (), "not signed by a key"),
        (sealed_release(release(DIGEST, expires=NOW)), root(), ("k0",), "has expired"),
        (GOOD, root(expires=NOW), ("k0",), "trust root 1 has expired"),
        (sealed_release(release(DIGEST), ALICE, BOB), TWO, ("k0", "k1"), ""),
    ],
)
def test_how_a_version_stands(held: bytes | None, by: TrustRoot | None, signed_by: tuple[str, ...], why: str) -> None:
    found = standing(VERSION, held, by, NOW)
    assert found.signed_by == signed_by
    assert (why in found.unreleased) if why else not found.unreleased


@pytest.mark.parametrize(
    ("sealed", "error", "why"),
    [
        (sealed_release(release(DIGEST, version=2)), BadInput, "a release of m@2, not of m@1"),
        (sealed_release(release(DIGEST, model="n")), BadInput, "a release of n@1, not of m@1"),
        (sealed_release(release(digest_of(b"x"))), BadInput, "sign again"),
        (sealed_release(release(DIGEST), MALLORY), Refused, "no publisher of trust root 1"),
        (sealed_permit(permit(DIGEST, 1, 2)), BadInput, "where a"),
        (b"", BadInput, "not a signed document"),
        (b"x" * (MAX_ENVELOPE + 1), BadInput, "at most"),
    ],
)
def test_what_is_no_release_of_the_version_is_not_kept(sealed: bytes, error: type[NearfieldError], why: str) -> None:
    checked_release(VERSION, GOOD, root())
    with pytest.raises(error, match=why):
        checked_release(VERSION, sealed, root())


def test_a_permit_needs_all_its_signatures() -> None:
    assert checked_permit(sealed_permit(permit(DIGEST, 1, 2)), root()) == permit(DIGEST, 1, 2)
    with pytest.raises(Refused, match="signed by 1 of the 2 keys"):
        checked_permit(sealed_permit(permit(DIGEST, 1, 2)), TWO)
    with pytest.raises(BadInput):
        checked_permit(GOOD, root())


def test_a_signature_that_is_there_is_not_lost_to_a_lesser_one() -> None:
    both, one = sealed_release(release(DIGEST), ALICE, BOB), sealed_release(release(DIGEST), BOB)
    longer = sealed_release(release(DIGEST, expires=NOW + timedelta(days=9)), ALICE, BOB)
    assert merged(None, one, TWO) == one
    assert merged(one, both, TWO) == both
    assert merged(both, one, TWO) == both
    assert merged(both, longer, TWO) == longer
    assert merged(GOOD, one, TWO) == one
