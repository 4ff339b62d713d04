"""Documents from outside: read, or refused in one kind of error."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_node.errors import Refused
from edge_node.store.trust import opened
from protos.envelope import DESIRED, public_bytes, seal
from protos.errors import ContractError
from protos.reading import read_json
from protos.reported import Status

DEEP = b"[" * 100_000


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"state":"\xff","connection":""}', DEEP, b'{"x":' + DEEP])
def test_what_is_no_document_is_refused_with_the_complaint(payload: bytes) -> None:
    with pytest.raises(ContractError, match=r"^not a status: "):
        read_json(payload, Status, "not a status")


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        assert isinstance(read_json(payload, Status, "not a status"), Status)
    except ContractError as error:
        assert error.args[0].startswith("not a status: ")  # noqa: PT017 - most are refused, some are not


def test_a_signed_document_that_is_nested_without_end_is_refused_by_the_node() -> None:
    key = Ed25519PrivateKey.generate()
    with pytest.raises(Refused, match=r"signed, but not readable: .*: update this agent"):
        opened(seal(DESIRED, b'{"x":' + DEEP, key), frozenset({public_bytes(key)}))
