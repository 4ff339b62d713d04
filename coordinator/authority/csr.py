"""Which certificate requests are taken: those that ask for nothing but a certificate for their key. Pure.

A request that asks for a name, a usage, or to be an authority is refused, not corrected: whoever made it expects
something that it will not get. PKCS#10: RFC 2986.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from coordinator.authority.keys import PublicKey, is_p256
from coordinator.errors import BadInput

MAX_BYTES = 4096
"""One for P-256 has about 400."""
BEGINS = b"-----BEGIN CERTIFICATE REQUEST-----"


def requested_key(pem: bytes) -> PublicKey:
    """The public key that a request (PEM) proves to hold.

    Raises:
        BadInput: it is none, its signature does not hold, its key is not on P-256, or it asks for more than a
            certificate for its key.
    """
    if len(pem) > MAX_BYTES:
        raise BadInput(f"the certificate request has {len(pem)} bytes; at most {MAX_BYTES} are taken")
    request = _parsed(pem)
    key = _key(request)
    if request.subject.rdns:
        raise BadInput("the certificate request asks for a name: leave its subject empty, identity is issued here")
    if _asks_for_more(request):
        raise BadInput("the certificate request asks for extensions: send one without, usages are decided here")
    return key


def _parsed(pem: bytes) -> x509.CertificateSigningRequest:
    try:
        if pem.count(b"-----BEGIN") != 1 or not pem.strip().startswith(BEGINS):
            raise ValueError("not one request")  # noqa: TRY301 - the same answer as to every other garbage
        return x509.load_pem_x509_csr(pem)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise BadInput("not a certificate request: send one PKCS#10 request in PEM") from None


def _key(request: x509.CertificateSigningRequest) -> PublicKey:
    try:
        key = request.public_key()
        if is_p256(key) and request.is_signature_valid:
            return key
    except (ValueError, TypeError, UnsupportedAlgorithm):  # a point off the curve, an algorithm nobody knows
        raise _wrong_key() from None
    raise _wrong_key()


def _asks_for_more(request: x509.CertificateSigningRequest) -> bool:
    try:
        return len(request.extensions) > 0 or len(request.attributes) > 0
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        return True  # what cannot be read was asked for all the same


def _wrong_key() -> BadInput:
    return BadInput("the certificate request must be for an ECDSA key on P-256 and signed with it")
