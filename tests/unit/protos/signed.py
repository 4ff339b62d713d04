"""Keys, roots and releases for tests: valid unless a test changes them."""

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.digest import Digest
from protos.envelope import DOWNGRADE, RELEASE, TRUST_ROOT, public_bytes, seal
from protos.release import Downgrade, Release, encode
from protos.trust import Signer, TrustRoot, encode_root

NOW = datetime(2026, 5, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def key(seed: int) -> Ed25519PrivateKey:
    """The key of a number, always the same."""
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))


ALICE, BOB, CAROL, MALLORY, COORDINATOR = key(1), key(2), key(3), key(4), key(5)


def signers(*keys: Ed25519PrivateKey) -> tuple[Signer, ...]:
    """Entries of a root, called k0, k1, …"""
    return tuple(Signer(f"k{number}", public_bytes(one)) for number, one in enumerate(keys))


def root(version: int = 1, publishers: tuple[Ed25519PrivateKey, ...] = (ALICE,), **changes: object) -> TrustRoot:
    """A root that expires in a year."""
    fields: dict[str, object] = {
        "version": version,
        "publishers": signers(*publishers),
        "threshold": 1,
        "coordinators": signers(COORDINATOR),
        "authorities": (),
        "issued_at": NOW,
        "expires": NOW + YEAR,
    }
    return TrustRoot(**{**fields, **changes})  # type: ignore[arg-type]


def sealed_root(made: TrustRoot, *keys: Ed25519PrivateKey) -> bytes:
    """A signed root."""
    return seal(TRUST_ROOT, encode_root(made), *(keys or (ALICE,)))


def release(digest: Digest, model: str = "m", version: int = 1, expires: datetime | None = None) -> Release:
    """A release."""
    return Release(model, version, digest, NOW, expires)


def sealed_release(made: Release, *keys: Ed25519PrivateKey) -> bytes:
    """A signed release."""
    return seal(RELEASE, encode(made), *(keys or (ALICE,)))


def permit(digest: Digest, version: int, below: int, model: str = "m", expires: datetime = NOW + YEAR) -> Downgrade:
    """A downgrade permit."""
    return Downgrade(model, version, digest, below, NOW, expires)


def sealed_permit(made: Downgrade, *keys: Ed25519PrivateKey) -> bytes:
    """A signed permit."""
    return seal(DOWNGRADE, encode(made), *(keys or (ALICE,)))
