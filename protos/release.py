"""Releases and downgrade permits: what only publishers can say of a model's versions.

A **release** says which bundle a version is; a **downgrade permit** says that nodes may go back to a version below
the newest that they have proven. Both are signed by a threshold of the publishers that the trust root names, so that
neither a coordinator nor a broker can make one. What a node does with them: `edge_node.store.admission`.
"""

import msgspec

from protos.digest import Digest, checked_digest
from protos.envelope import DOWNGRADE, RELEASE, open_sealed, unverified
from protos.errors import ContractError
from protos.identity import checked_name
from protos.moments import Moment
from protos.reading import read_json
from protos.trust import TrustRoot

MAX_ENVELOPE = 16 * 1024
"""No signed release or permit is larger, in bytes."""


class Release(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bundle, by its digest, is this version of the model. `expires`: not to be adopted anew from then on."""

    model: str
    version: int
    digest: Digest
    issued_at: Moment
    expires: Moment | None = None


class Downgrade(msgspec.Struct, frozen=True):
    """Nodes whose floor for the model is at most `below` may go back to this version, until `expires`."""

    model: str
    version: int
    digest: Digest
    below: int
    issued_at: Moment
    expires: Moment


def encode(statement: Release | Downgrade) -> bytes:
    """The payload to sign."""
    return msgspec.json.encode(statement, order="deterministic")


def open_release(sealed: bytes, root: TrustRoot) -> Release:
    """The release in an envelope that enough of the root's publishers signed.

    Raises:
        ContractError: too few signatures, or no release.
    """
    return read_release(open_sealed(sealed, RELEASE, root.publisher_keys, root.threshold))


def open_downgrade(sealed: bytes, root: TrustRoot) -> Downgrade:
    """The permit in an envelope that enough of the root's publishers signed.

    Raises:
        ContractError: too few signatures, or no permit.
    """
    return read_downgrade(open_sealed(sealed, DOWNGRADE, root.publisher_keys, root.threshold))


def unverified_release(sealed: bytes) -> Release:
    """What an envelope says, whoever signed it.

    Raises:
        ContractError: no release.
    """
    return read_release(unverified(sealed, RELEASE))


def read_release(payload: bytes) -> Release:
    """The release that the bytes say.

    Raises:
        ContractError: they say none.
    """
    release = read_json(payload, Release, "not a release")
    _check("release", release.model, release.version, release.digest)
    return release


def read_downgrade(payload: bytes) -> Downgrade:
    """The downgrade permit that the bytes say.

    Raises:
        ContractError: they say none.
    """
    permit = read_json(payload, Downgrade, "not a downgrade permit")
    _check("downgrade permit", permit.model, permit.version, permit.digest)
    if permit.below <= permit.version:
        raise ContractError(f"downgrade permit: version {permit.version} is not below {permit.below}")
    return permit


def _check(what: str, model: str, version: int, digest: str) -> None:
    checked_name(model, f"{what}: model")
    checked_digest(digest)
    if not 0 < version < 2**31:
        raise ContractError(f"{what}: {version} is not the number of a version")
