"""Content digests, written as OCI writes them: `sha256:` and 64 lower-case hexadecimal digits."""

import re
from typing import NewType

from protos.errors import ContractError

Digest = NewType("Digest", str)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(content: bytes) -> Digest:
    """The digest of the bytes."""
    import hashlib  # a megabyte of OpenSSL, which who only names digests does without

    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def checked_digest(text: str) -> Digest:
    """The text as a digest.

    Raises:
        ContractError: the text is no digest.
    """
    if _DIGEST.fullmatch(text) is None:
        raise ContractError(f"{text!r} is not a digest: expected sha256: and 64 hexadecimal digits")
    return Digest(text)


def hex_of(digest: Digest) -> str:
    """The 64 hexadecimal digits: the file name of the blob below `blobs/sha256/`."""
    return digest.removeprefix("sha256:")


def short(digest: Digest) -> str:
    """Twelve digits, for people."""
    return hex_of(digest)[:12]
