"""Which desired document a node believes."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_node.errors import Refused
from edge_node.store.trust import Adopted, adopt
from protos.desired import Desired, encode_desired
from protos.envelope import ACKED, DESIRED, public_bytes, seal
from protos.identity import NodeId

KEY, OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
TRUSTED = frozenset({public_bytes(KEY)})
NODE = NodeId("1" * 32)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def document(epoch: int = 1, revision: int = 1, name: str = "cam", node: NodeId = NODE) -> bytes:
    return encode_desired(Desired(node, epoch, revision, "2026-01-01T00:00:00Z", name, "store"))


def sealed(payload: bytes, key: Ed25519PrivateKey = KEY, kind: str = DESIRED) -> bytes:
    return seal(kind, payload, key)


def adopted(epoch: int = 1, revision: int = 1) -> Adopted:
    return adopt(sealed(document(epoch, revision)), NODE, TRUSTED, None, NOW)


def test_a_first_document_and_every_newer_one_is_adopted() -> None:
    current = adopted(1, 5)
    for epoch, revision in ((1, 6), (2, 1)):
        newer = adopt(sealed(document(epoch, revision)), NODE, TRUSTED, current, NOW)
        assert (newer.desired.epoch, newer.desired.revision) == (epoch, revision)


def test_the_same_document_again_changes_nothing() -> None:
    current = adopted()
    assert adopt(sealed(document()), NODE, TRUSTED, current, NOW) is current


@pytest.mark.parametrize(
    ("envelope", "complaint"),
    [
        (b"", "not a signed document"),
        (b'{"payload":1}', "not a signed document"),
        (sealed(document(), OTHER_KEY), "not signed by a key that is trusted here"),
        (sealed(document(), kind=ACKED), "where a"),
        (sealed(b"{}"), "signed, but not readable"),
        (sealed(document(node=NodeId("2" * 32))), "not for this one"),
        (sealed(document(1, 4)), "older than the adopted 1.5"),
        (sealed(document(0, 9)), "older than the adopted 1.5"),
        (sealed(document(1, 5, name="other")), "two different desired documents are called 1.5"),
    ],
)
def test_what_must_not_be_adopted_is_refused_with_the_reason(envelope: bytes, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        adopt(envelope, NODE, TRUSTED, adopted(1, 5), NOW)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail_otherwise(garbage: bytes) -> None:
    with pytest.raises(Refused):
        adopt(garbage, NODE, TRUSTED, None, NOW)


@given(st.integers(0, 1000), st.integers(0, 7))
def test_a_flipped_bit_of_the_payload_is_always_refused(position: int, bit: int) -> None:
    envelope = bytearray(sealed(document()))
    start = envelope.index(b'"payload":"') + 11
    end = envelope.index(b'"', start)
    envelope[start + position % (end - start)] ^= 1 << bit
    with pytest.raises(Refused):
        adopt(bytes(envelope), NODE, TRUSTED, None, NOW)


def expiring(revision: int, after: timedelta) -> bytes:
    desired = msgspec.json.decode(document(1, revision), type=Desired)
    return sealed(encode_desired(msgspec.structs.replace(desired, expires_at=NOW + after)))


def test_an_expired_document_is_not_adopted_anew() -> None:
    with pytest.raises(Refused, match="has expired"):
        adopt(expiring(1, timedelta(0)), NODE, TRUSTED, None, NOW)
    assert adopt(expiring(1, timedelta(seconds=1)), NODE, TRUSTED, None, NOW).desired.revision == 1
    # the control arm: by the same rules without an expiry it would be
    assert adopt(sealed(document(1, 1)), NODE, TRUSTED, None, NOW).desired.revision == 1


def test_what_was_adopted_stays_when_it_expires() -> None:
    current = adopt(expiring(1, timedelta(days=1)), NODE, TRUSTED, None, NOW)
    assert adopt(expiring(1, timedelta(days=1)), NODE, TRUSTED, current, NOW + timedelta(days=9)) is current
    with pytest.raises(Refused, match="has expired"):
        adopt(expiring(2, timedelta(days=2)), NODE, TRUSTED, current, NOW + timedelta(days=9))
