"""Which certificate requests are taken (S2)."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from coordinator.authority.csr import requested_key
from coordinator.authority.keys import certificate_request, new_key
from coordinator.errors import BadInput
from tests.unit.authority.requests import BAD

GOOD = certificate_request(new_key())


def test_a_request_that_asks_for_nothing_but_a_certificate_is_taken() -> None:
    key = new_key()
    assert requested_key(certificate_request(key)) == key.public_key()


@pytest.mark.parametrize("what", BAD)
def test_every_other_request_is_refused_in_one_line(what: str) -> None:
    with pytest.raises(BadInput) as refused:
        requested_key(BAD[what]())
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@given(st.binary(max_size=5000))
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    with pytest.raises(BadInput):
        requested_key(garbage)


@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_a_request_with_one_other_byte_is_refused_or_says_the_same(place: int, byte: int) -> None:
    spoiled = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    try:
        assert requested_key(spoiled) == requested_key(GOOD)  # white space, padding
    except BadInput:
        return


def test_the_control_arm_a_library_takes_what_is_refused_here() -> None:
    """Without our check a name and the wish to be an authority would arrive where certificates are made."""
    request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "coordinator")])
    )
    wish = request.add_extension(x509.BasicConstraints(True, None), True).sign(new_key(), hashes.SHA256())
    read = x509.load_pem_x509_csr(wish.public_bytes(Encoding.PEM))
    assert read.is_signature_valid
    assert read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
