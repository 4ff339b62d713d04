"""Which acknowledgements may free results."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_node.outbox.acked import accept_acked
from protos.envelope import ACKED, DESIRED, public_bytes, seal
from protos.errors import ContractError
from protos.identity import NodeId, StreamId
from protos.reported import Acked

KEY = Ed25519PrivateKey.generate()
TRUSTED = frozenset({public_bytes(KEY)})
STREAM = StreamId("5" * 32)
PAYLOAD = msgspec.json.encode(Acked(node=NodeId("a" * 32), stream=STREAM, through=41))


def test_a_signed_acknowledgement_of_the_stream_is_accepted() -> None:
    assert accept_acked(seal(ACKED, PAYLOAD, KEY), TRUSTED, STREAM) == 41


def test_an_acknowledgement_of_an_older_stream_says_nothing() -> None:
    assert accept_acked(seal(ACKED, PAYLOAD, KEY), TRUSTED, StreamId("6" * 32)) is None


@pytest.mark.parametrize(
    "envelope",
    [
        seal(ACKED, PAYLOAD, Ed25519PrivateKey.generate()),
        seal(DESIRED, PAYLOAD, KEY),
        seal(ACKED, b'{"stream":1}', KEY),
        seal(ACKED, PAYLOAD.replace(b"41", b"-1"), KEY),
        PAYLOAD,
        b"",
        b"\xff",
    ],
    ids=["foreign key", "other document", "not an acknowledgement", "below zero", "not signed", "empty", "not text"],
)
def test_anything_else_is_refused(envelope: bytes) -> None:
    with pytest.raises(ContractError):
        accept_acked(envelope, TRUSTED, STREAM)
