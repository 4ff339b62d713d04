"""Releases and permits: what is signed, by how many, and what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.digest import digest_of
from protos.envelope import RELEASE, seal
from protos.errors import ContractError
from protos.release import encode, open_downgrade, open_release, read_downgrade, read_release, unverified_release
from tests.unit.protos.signed import (
    ALICE,
    BOB,
    COORDINATOR,
    MALLORY,
    permit,
    release,
    root,
    sealed_permit,
    sealed_release,
)

DIGEST = digest_of(b"bundle")


def test_a_release_and_a_permit_open_with_the_publishers_keys() -> None:
    assert open_release(sealed_release(release(DIGEST)), root()) == release(DIGEST)
    assert open_downgrade(sealed_permit(permit(DIGEST, 1, 3)), root()) == permit(DIGEST, 1, 3)


@pytest.mark.parametrize("stranger", [MALLORY, COORDINATOR], ids=["a stranger", "the coordinator itself"])
def test_nobody_else_can_release_a_model(stranger: object) -> None:
    forged = sealed_release(release(DIGEST), stranger)  # type: ignore[arg-type]
    assert unverified_release(forged) == release(DIGEST)
    with pytest.raises(ContractError, match="not signed by a key that is trusted here"):
        open_release(forged, root())


def test_a_threshold_needs_that_many_publishers() -> None:
    two = root(publishers=(ALICE, BOB), threshold=2)
    assert open_release(sealed_release(release(DIGEST), ALICE, BOB), two) == release(DIGEST)
    with pytest.raises(ContractError, match="signed by 1 of the 2 keys"):
        open_release(sealed_release(release(DIGEST), ALICE), two)


def test_a_permit_is_no_release_and_a_release_no_permit() -> None:
    with pytest.raises(ContractError, match="where a"):
        open_release(sealed_permit(permit(DIGEST, 1, 3)), root())
    with pytest.raises(ContractError, match="where a"):
        open_downgrade(sealed_release(release(DIGEST)), root())
    with pytest.raises(ContractError, match="not a release"):
        open_release(seal(RELEASE, b"{}", ALICE), root())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "Not A Name"),
        ("version", 0),
        ("version", 2**31),
        ("version", "1"),
        ("digest", "sha256:x"),
        ("issued_at", "yesterday"),
        ("issued_at", "2026-05-01T10:00:00"),
        ("expires", 0),
    ],
)
def test_a_release_that_makes_no_sense_is_none(field: str, value: object) -> None:
    document = {**json.loads(encode(release(DIGEST))), field: value}
    with pytest.raises(ContractError):
        read_release(json.dumps(document).encode())


def test_a_permit_to_go_up_is_none() -> None:
    with pytest.raises(ContractError, match="not below"):
        read_downgrade(encode(permit(DIGEST, 3, 3)))


@given(st.binary())
def test_no_bytes_break_the_readers(garbage: bytes) -> None:
    for reader in (read_release, read_downgrade, unverified_release):
        with pytest.raises(ContractError):
            reader(garbage)
