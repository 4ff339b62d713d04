"""The publisher's side of `edgectl`: keys from files, and what is signed with them. Private keys never leave here."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.errors import BadInput, WrongUsage
from coordinator.folder import write_new
from coordinator.trust.signing_keys import read_key
from protos.digest import Digest
from protos.envelope import RELEASE, cosigned, seal
from protos.errors import ContractError
from protos.release import MAX_ENVELOPE, Release, encode, unverified_release

VARIABLE = "NEARFIELD_PUBLISHER_KEY"

Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="FILE", help=f"A publisher's private key; several may be given. Else: {VARIABLE}."),
]


def expiry(days: int, now: datetime) -> datetime | None:
    """When something that is valid for so many days ends; None for 0: never. Pure."""
    return now + timedelta(days=days) if days else None


def publisher_keys(files: Sequence[Path] | None) -> list[Ed25519PrivateKey]:
    """The keys in the files, or in the file that NEARFIELD_PUBLISHER_KEY names (several: as in PATH).

    Raises:
        WrongUsage: neither names one.
        BadInput, Refused: a file is no key, or others may read it.
    """
    named = list(files or ()) or [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    if not named:
        raise WrongUsage(
            f"a publisher has to sign this: give --key FILE, or {VARIABLE}=FILE (edge-coordinator init made "
            "keys/publisher.key in its folder)"
        )
    return [read_key(file) for file in named]


def released(
    held: bytes,
    wanted: tuple[str, int, Digest],
    keys: Sequence[Ed25519PrivateKey],
    now: datetime,
    expires: datetime | None,
) -> bytes:
    """The release of a version with our signatures: added to the one that is held where it says the same.

    Args:
        held: the envelope that is there, or nothing.
        wanted: model, version, and the digest of the bundle.
        keys: who signs.
        now: the time of a new release.
        expires: of a new release; where one is given a new one is made in any case.
    """
    if held and expires is None and _names(held) == wanted:
        for key in keys:
            held = cosigned(held, RELEASE, key)
        return held
    return seal(RELEASE, encode(Release(*wanted, issued_at=now, expires=expires)), *keys)


def read_envelope(file: Path) -> bytes:
    """A file of signatures.

    Raises:
        BadInput: it cannot be read, or is far too large for one.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(4 * MAX_ENVELOPE + 1)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    if len(content) > 4 * MAX_ENVELOPE:
        raise BadInput(f"{file} is far too large for a signed document")
    return content


def read_release(file: Path) -> tuple[bytes, Release]:
    """A signed release in a file, and what it says.

    Raises:
        BadInput: it is none.
    """
    sealed = read_envelope(file)
    try:
        return sealed, unverified_release(sealed)
    except ContractError as error:
        raise BadInput(f"{file}: {error}") from None


def write_envelope(file: Path, sealed: bytes) -> None:
    """Write a file of signatures, in place of an older one.

    Raises:
        BadInput: it cannot be written.
    """
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.unlink(missing_ok=True)
        write_new(beside, sealed + b"\n", 0o644)
        beside.replace(file)
    except OSError as error:
        raise BadInput(f"{error.filename or file}: {error.strerror}") from None


def _names(sealed: bytes) -> tuple[str, int, Digest]:
    release = unverified_release(sealed)
    return release.model, release.version, release.digest
