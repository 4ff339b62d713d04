"""Signing keys as files: `FILE` holds a private Ed25519 key (raw, base64, mode 0600), `FILE.pub` one line of text with
the public key and what people call its owner: `nearfield-ed25519 BASE64 NAME`.

Who may sign what is the trust root's business (`protos.trust`); certificates are `coordinator.authority`'s.
"""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.errors import BadInput, Refused
from coordinator.folder import owner_only, signing_key, write_new
from protos.envelope import public_bytes
from protos.errors import ContractError
from protos.identity import checked_name
from protos.trust import KEY_BYTES, Signer

PUBLIC = "nearfield-ed25519"
MAX_LINE = 1024


def make_key(file: Path) -> Signer:
    """Make a key; its public half, named after the file. What is there is never overwritten.

    Raises:
        Refused: there is such a file.
        BadInput: it cannot be written, or its name is none for a person.
    """
    name, public = _name_of(file), public_file(file)
    key = Ed25519PrivateKey.generate()
    signer = Signer(name, public_bytes(key))
    try:
        if public.exists() or not write_new(file, base64.b64encode(key.private_bytes_raw()) + b"\n", 0o600):
            raise Refused(f"{file} is there already: choose another name, a key is never overwritten")
        write_new(public, public_line(signer).encode(), 0o644)
    except OSError as error:
        raise BadInput(f"{error.filename or file}: {error.strerror}") from None
    return signer


def public_file(file: Path) -> Path:
    """Where the public half of a key lies."""
    return file.with_name(f"{file.name}.pub")


def read_key(file: Path) -> Ed25519PrivateKey:
    """The private key in a file.

    Raises:
        BadInput: there is none, or it is none.
        Refused: others may read it.
    """
    try:
        return signing_key(owner_only(file))
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give the file that holds a publisher's private key") from None
    except ValueError:
        raise BadInput(f"{file} is not a signing key: edgectl key create makes one") from None


def public_line(signer: Signer) -> str:
    """The text of a public key."""
    return f"{PUBLIC} {base64.b64encode(signer.key).decode()} {signer.name}\n"


def read_public(file: Path) -> Signer:
    """The public key in a file.

    Raises:
        BadInput: there is none, or it is none.
    """
    try:
        with file.open("rb") as opened:
            return parse_public(opened.read(MAX_LINE).decode())
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give the .pub file of a key") from None
    except (ContractError, UnicodeDecodeError):
        raise BadInput(f"{file} is not a public key: give the .pub file that edgectl key create made") from None


def parse_public(text: str) -> Signer:
    """The public key that a line says.

    Raises:
        ContractError: it says none.
    """
    words = text.split()
    try:
        kind, encoded, name = words
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ContractError("not a public key") from None
    if kind != PUBLIC or len(raw) != KEY_BYTES:
        raise ContractError("not a public key")
    return Signer(checked_name(name, "the key's name"), raw)


def _name_of(file: Path) -> str:
    try:
        return checked_name(file.name.removesuffix(".key"), "a key is named after its file, and")
    except ContractError as error:
        raise BadInput(str(error)) from None
