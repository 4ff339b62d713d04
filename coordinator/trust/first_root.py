"""The first trust root of a coordinator, made by `edge-coordinator init`, and the publisher's key that signs it.

`keys/publisher.key` is another key than the coordinator's own: with it a person says which models are theirs, so it
belongs elsewhere. Where the publishers bring keys of their own, the root waits in `keys/trust_root.json` without a
signature until they sign it (`edgectl trust sign`). Later roots live in the database (`coordinator.registry.roots`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.errors import BadInput
from coordinator.folder import Folder, read_signing_key, write_new
from coordinator.trust.signing_keys import make_key, read_key, read_public
from protos.envelope import TRUST_ROOT, public_bytes, seal
from protos.trust import Signer, TrustRoot, checked_root, encode_root

LIFETIME = timedelta(days=3 * 365)
"""When a root expires nothing new can be adopted under it any more; `edgectl trust update` makes the next."""
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class FirstRoot:
    """What was made: the file of the publisher's private key, None where the publishers have their own."""

    publisher_key: Path | None


def root_file(folder: Folder) -> Path:
    """The first trust root, signed or not."""
    return folder.root / "keys" / "trust_root.json"


def publisher_file(folder: Folder) -> Path:
    """Where `init` puts the publisher's key."""
    return folder.root / "keys" / "publisher.key"


def make_first_root(folder: Folder, publishers: Sequence[Path], now: datetime) -> FirstRoot | None:
    """Make the first root of a folder that has none; None where it has one.

    Args:
        folder: with its signing key and its authority.
        publishers: files of public keys; none: a key is made here.
        now: the time.

    Raises:
        BadInput: a file is no public key, or cannot be written.
    """
    if root_file(folder).exists():
        return None
    if publishers:
        _write(folder, tuple(read_public(file) for file in publishers), (), now)
        return FirstRoot(None)
    file = publisher_file(folder)
    if not file.exists():
        make_key(file)
    key = read_key(file)
    _write(folder, (Signer("publisher", public_bytes(key)),), (key,), now)
    return FirstRoot(file)


def read_first_root(folder: Folder) -> bytes | None:
    """The envelope of the first root; None where there is none."""
    try:
        return root_file(folder).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{root_file(folder)}: {error.strerror}") from None


def certificates_in(pem: str) -> tuple[str, ...]:
    """The certificates in a PEM file, one text each."""
    parts = (part.partition(END) for part in pem.split(BEGIN)[1:])
    return tuple(f"{BEGIN}{inside}{end}\n" for inside, end, _ in parts if end)


def _write(folder: Folder, publishers: tuple[Signer, ...], keys: tuple[Ed25519PrivateKey, ...], now: datetime) -> None:
    authorities = folder.authorities.read_text(encoding="ascii") if folder.authorities.exists() else ""
    root = TrustRoot(
        version=1,
        publishers=publishers,
        threshold=1,
        coordinators=(Signer("coordinator", public_bytes(read_signing_key(folder))),),
        authorities=certificates_in(authorities),
        issued_at=now,
        expires=now + LIFETIME,
    )
    write_new(root_file(folder), seal(TRUST_ROOT, encode_root(checked_root(root)), *keys), 0o644)
