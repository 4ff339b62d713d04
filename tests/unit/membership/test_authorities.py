"""Whom a node trusts after a renewal: the authorities of its signed root, not those of whoever answered."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_node.membership.identity import authorities_of
from protos.envelope import TRUST_ROOT, public_bytes, seal
from protos.trust import Signer, TrustRoot, encode_root

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGNED, TOLD = "-----BEGIN CERTIFICATE-----\nsigned\n", b"-----BEGIN CERTIFICATE-----\ntold\n"


def root(*authorities: str) -> bytes:
    """The envelope of a root that names authorities."""
    signer = Signer("publisher", public_bytes(KEY))
    begins, ends = datetime(2026, 5, 1, tzinfo=UTC), datetime(2027, 5, 1, tzinfo=UTC)
    return seal(TRUST_ROOT, encode_root(TrustRoot(1, (signer,), 1, (signer,), authorities, begins, ends)), KEY)


@pytest.mark.parametrize(
    ("roots", "trusted"),
    [((root(SIGNED),), SIGNED.encode()), ((root(),), TOLD), ((), TOLD)],
    ids=["root names authorities", "root names none", "no root"],
)
def test_what_a_renewal_says_counts_where_the_root_names_no_authorities(
    roots: tuple[bytes, ...], trusted: bytes
) -> None:
    assert authorities_of(roots, (TOLD,)) == trusted
