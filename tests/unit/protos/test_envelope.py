"""Signed documents: who signed which bytes, and nothing passes that nobody trusted signed."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib import dsse
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import Key, SSlibKey

from protos.envelope import (
    ACKED,
    DESIRED,
    MAX_SIGNATURES,
    cosigned,
    key_id,
    open_sealed,
    pre_authentication_encoding,
    public_bytes,
    seal,
    signers,
    unverified,
)
from protos.errors import ContractError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
TRUSTED = frozenset({public_bytes(KEY)})
OTHERS = frozenset({public_bytes(OTHER)})


def theirs(raw: bytes) -> SSlibKey:
    """A public key as securesystemslib has it."""
    document = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}
    return SSlibKey.from_dict(key_id(raw), document)


@given(st.binary())
def test_what_was_sealed_opens(payload: bytes) -> None:
    assert open_sealed(seal(DESIRED, payload, KEY), DESIRED, TRUSTED) == payload


def test_the_encoding_is_that_of_the_dsse_protocol() -> None:
    # the example of the specification: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_published_test_vector_verifies() -> None:
    # protocol.md of DSSE: an ECDSA P-256 key and its signature (r and s) over the encoding of the example
    key = ec.EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        ec.SECP256R1(),
    ).public_key()
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    key.verify(signature, encoded, ec.ECDSA(hashes.SHA256()))


@given(st.binary())
def test_securesystemslib_opens_what_we_seal(payload: bytes) -> None:
    keys: list[Key] = [theirs(raw) for raw in TRUSTED | OTHERS]
    envelope = dsse.Envelope.from_dict(json.loads(seal(DESIRED, payload, KEY, OTHER)))
    assert envelope.payload == payload
    assert set(envelope.verify(keys, 2)) == {key_id(raw) for raw in TRUSTED | OTHERS}


@given(st.binary())
def test_we_open_what_securesystemslib_sealed(payload: bytes) -> None:
    envelope = dsse.Envelope(payload, DESIRED, {})
    for key in (KEY, OTHER):
        envelope.sign(CryptoSigner(key, theirs(public_bytes(key))))
    sealed = json.dumps(envelope.to_dict()).encode()
    assert open_sealed(sealed, DESIRED, TRUSTED | OTHERS, threshold=2) == payload


@given(st.binary(), st.binary(), st.text(max_size=20), st.text(max_size=20))
def test_no_two_documents_are_encoded_alike(one: bytes, other: bytes, type_: str, other_type: str) -> None:
    same = pre_authentication_encoding(type_, one) == pre_authentication_encoding(other_type, other)
    assert same == ((type_, one) == (other_type, other))


def test_another_type_of_document_is_refused() -> None:
    with pytest.raises(ContractError, match=r"a signed '.*acked.*' where a '.*desired.*' belongs"):
        open_sealed(seal(ACKED, b"{}", KEY), DESIRED, TRUSTED)


def test_a_signature_is_worth_nothing_on_another_type() -> None:
    envelope = json.loads(seal(ACKED, b"{}", KEY))
    envelope["payloadType"] = DESIRED
    with pytest.raises(ContractError, match="not signed by a key that is trusted here"):
        open_sealed(json.dumps(envelope).encode(), DESIRED, TRUSTED)


def test_a_stranger_signature_is_refused() -> None:
    with pytest.raises(ContractError, match="not signed by a key that is trusted here"):
        open_sealed(seal(DESIRED, b"{}", OTHER), DESIRED, TRUSTED)


def test_a_stranger_under_a_trusted_key_id_is_refused() -> None:
    envelope = json.loads(seal(DESIRED, b"{}", OTHER))
    envelope["signatures"][0]["keyid"] = key_id(public_bytes(KEY))
    with pytest.raises(ContractError, match="not signed"):
        open_sealed(json.dumps(envelope).encode(), DESIRED, TRUSTED)


def test_one_good_signature_among_others_is_enough() -> None:
    mine, strange = json.loads(seal(DESIRED, b"{}", KEY)), json.loads(seal(DESIRED, b"{}", OTHER))
    mine["signatures"] = strange["signatures"] + mine["signatures"]
    assert open_sealed(json.dumps(mine).encode(), DESIRED, TRUSTED) == b"{}"


def test_nobody_trusted_means_nothing_opens() -> None:
    with pytest.raises(ContractError, match="not signed"):
        open_sealed(seal(DESIRED, b"{}", KEY), DESIRED, frozenset())


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_flipped_byte_of_the_payload_passes(position: int, flip: int) -> None:
    envelope = json.loads(seal(DESIRED, b'{"revision":7}', KEY))
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[position % len(payload)] ^= flip
    envelope["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(ContractError, match="not signed"):
        open_sealed(json.dumps(envelope).encode(), DESIRED, TRUSTED)


@pytest.mark.parametrize("text", ["\x80", "=", "a", "AAA\n"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    envelope = json.loads(seal(DESIRED, b"{}", KEY))
    for broken in (envelope | {"payload": text}, envelope | {"signatures": [{"keyid": "", "sig": text}]}):
        with pytest.raises(ContractError, match=r"^not a signed document"):
            open_sealed(json.dumps(broken).encode(), DESIRED, TRUSTED)


@given(st.binary())
def test_no_bytes_break_the_reader(garbage: bytes) -> None:
    with pytest.raises(ContractError):
        open_sealed(garbage, DESIRED, TRUSTED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(json_values, json_values, json_values)
def test_no_json_breaks_the_reader(payload_type: object, payload: object, signatures: object) -> None:
    document = {"payloadType": payload_type, "payload": payload, "signatures": signatures}
    with pytest.raises(ContractError):
        open_sealed(json.dumps(document).encode(), DESIRED, TRUSTED)


def test_a_threshold_counts_different_keys() -> None:
    both, one = seal(DESIRED, b"{}", KEY, OTHER), seal(DESIRED, b"{}", KEY)
    assert open_sealed(both, DESIRED, TRUSTED | OTHERS, threshold=2) == b"{}"
    assert open_sealed(cosigned(one, DESIRED, OTHER), DESIRED, TRUSTED | OTHERS, threshold=2) == b"{}"
    twice = json.loads(one)
    twice["signatures"] *= 2
    for too_few in (one, json.dumps(twice).encode(), cosigned(one, DESIRED, KEY)):
        with pytest.raises(ContractError, match="signed by 1 of the 2 keys that it needs"):
            open_sealed(too_few, DESIRED, TRUSTED | OTHERS, threshold=2)


def test_a_threshold_of_nobody_opens_nothing() -> None:
    with pytest.raises(ContractError):
        open_sealed(seal(DESIRED, b"{}", KEY), DESIRED, TRUSTED, threshold=0)


def test_who_signs_again_signs_once() -> None:
    again = cosigned(seal(DESIRED, b"{}", KEY), DESIRED, KEY)
    assert len(json.loads(again)["signatures"]) == 1
    assert signers(again, DESIRED, TRUSTED | OTHERS) == TRUSTED


def test_nobody_vouches_for_what_is_read_unverified() -> None:
    unsigned = seal(DESIRED, b"{}")
    assert unverified(unsigned, DESIRED) == b"{}"
    with pytest.raises(ContractError, match="not signed"):
        open_sealed(unsigned, DESIRED, TRUSTED)


def test_a_thousand_signatures_are_not_looked_at() -> None:
    envelope = json.loads(seal(DESIRED, b"{}", KEY))
    envelope["signatures"] *= MAX_SIGNATURES + 1
    with pytest.raises(ContractError, match="more than are looked at"):
        open_sealed(json.dumps(envelope).encode(), DESIRED, TRUSTED)
