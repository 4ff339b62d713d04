"""The trust root: whose signatures count, and how that changes without touching devices. Pure.

A root names the publishers (releases, permits, the next root) with their threshold, the keys of the coordinator
(desired state, commands, acknowledgements) and the authorities for TLS. A node pins one root when it enrolls. A new
root has the next number and is signed by the threshold of the old publishers AND of the new ones (as in TUF,
https://theupdateframework.github.io/specification/latest/#update-root): who holds too few keys can neither change
the root nor lock the others out. An expired root blocks adopting new versions, never running old ones.

    roots = followed((), told)          # first contact: the first that is told is pinned, the others must follow
    roots = followed(roots, told)       # later: what is known is skipped, what is new must follow
    root = newest(roots)
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from protos.envelope import TRUST_ROOT, open_sealed, unverified
from protos.errors import ContractError
from protos.identity import checked_name
from protos.moments import Moment
from protos.reading import read_json

KEY_BYTES = 32
MAX_ROOT = 64 * 1024
"""No signed root is larger, in bytes."""
MAX_KEYS = 32
MAX_KEPT = 8
"""So many roots are kept: what was released under an older one stays recognizable."""


class Signer(msgspec.Struct, frozen=True):
    """A raw Ed25519 public key (base64 in JSON) and what people call its owner."""

    name: str
    key: bytes


class TrustRoot(msgspec.Struct, frozen=True):
    """Whose signatures count. `authorities` are certificates in PEM; `threshold` is of publishers."""

    version: int
    publishers: tuple[Signer, ...]
    threshold: int
    coordinators: tuple[Signer, ...]
    authorities: tuple[str, ...]
    issued_at: Moment
    expires: Moment

    @property
    def publisher_keys(self) -> frozenset[bytes]:
        """The raw keys of the publishers."""
        return frozenset(signer.key for signer in self.publishers)

    @property
    def coordinator_keys(self) -> frozenset[bytes]:
        """The raw keys of the coordinator."""
        return frozenset(signer.key for signer in self.coordinators)

    def has_expired(self, now: datetime) -> bool:
        """Whether nothing new may be adopted under it any more."""
        return now >= self.expires


def encode_root(root: TrustRoot) -> bytes:
    """The payload to sign."""
    return msgspec.json.encode(root, order="deterministic")


def read_root(payload: bytes) -> TrustRoot:
    """The root that the bytes say.

    Raises:
        ContractError: they say none, or one that nobody could use.
    """
    return checked_root(read_json(payload, TrustRoot, "not a trust root"))


def checked_root(root: TrustRoot) -> TrustRoot:
    """The root itself.

    Raises:
        ContractError: a number, a key or the threshold makes no sense.
    """
    if not 0 < root.version < 2**31:
        raise ContractError(f"trust root: {root.version} is not the number of a root")
    _check_signers("publishers", root.publishers)
    _check_signers("coordinators", root.coordinators)
    if not 0 < root.threshold <= len(root.publishers):
        raise ContractError(f"trust root: threshold {root.threshold} of {len(root.publishers)} publishers")
    if any(not text.startswith("-----BEGIN CERTIFICATE-----") for text in root.authorities):
        raise ContractError("trust root: an authority is not a certificate in PEM")
    return root


def open_root(sealed: bytes) -> TrustRoot:
    """The root in an envelope that enough of its own publishers signed.

    Raises:
        ContractError: not a root, or too few signatures.
    """
    if len(sealed) > MAX_ROOT:
        raise ContractError(f"trust root: {len(sealed)} bytes; at most {MAX_ROOT} are taken")
    root = read_root(unverified(sealed, TRUST_ROOT))
    _check_signed(sealed, root, by=root)
    return root


def follow(held: TrustRoot, sealed: bytes) -> TrustRoot:
    """The root in an envelope, where it may replace the one that is held.

    Raises:
        ContractError: not the next number, or too few signatures of the old or of the new publishers.
    """
    root = open_root(sealed)
    if root.version != held.version + 1:
        raise ContractError(f"trust root {root.version} cannot follow {held.version}: roots follow one by one")
    _check_signed(sealed, root, by=held)
    return root


def followed(held: Sequence[bytes], told: Iterable[bytes]) -> tuple[bytes, ...]:
    """The envelopes of the roots to keep, oldest first, after somebody told of roots.

    Args:
        held: the pinned root and those that followed it; empty before first contact, when the first one told is pinned.
        told: envelopes, oldest first. Those with a number that is held are skipped, not compared.

    Raises:
        ContractError: one of them does not follow. What is held stays.
    """
    kept = list(held)
    for sealed in told:
        if not kept:
            open_root(sealed)
            kept.append(sealed)
            continue
        newest_held = read_root(unverified(kept[-1], TRUST_ROOT))
        if number_of(sealed) > newest_held.version:
            follow(newest_held, sealed)
            kept.append(sealed)
    return tuple(kept[-MAX_KEPT:])


def newest(roots: Sequence[bytes]) -> TrustRoot | None:
    """The root in force, of envelopes that `followed` gave; None where there is none."""
    return read_root(unverified(roots[-1], TRUST_ROOT)) if roots else None


def newest_number(roots: Sequence[bytes]) -> int:
    """The number of the root in force, of envelopes that `followed` gave; 0 where there is none."""
    return number_of(roots[-1]) if roots else 0


def number_of(sealed: bytes) -> int:
    """The number of the root in an envelope, whoever signed it.

    Raises:
        ContractError: not a root.
    """
    return read_root(unverified(sealed, TRUST_ROOT)).version


def _check_signed(sealed: bytes, root: TrustRoot, by: TrustRoot) -> None:
    try:
        open_sealed(sealed, TRUST_ROOT, by.publisher_keys, by.threshold)
    except ContractError as error:
        raise ContractError(f"trust root {root.version}, by the publishers of root {by.version}: {error}") from None


def _check_signers(what: str, signers: Sequence[Signer]) -> None:
    if not 0 < len(signers) <= MAX_KEYS:
        raise ContractError(f"trust root: {len(signers)} {what}; 1 to {MAX_KEYS} are taken")
    if any(len(signer.key) != KEY_BYTES for signer in signers):
        raise ContractError(f"trust root: a key of {what} has not {KEY_BYTES} bytes")
    if len({signer.key for signer in signers}) < len(signers):
        raise ContractError(f"trust root: {what} name the same key twice")
    if len({signer.name for signer in signers}) < len(signers):
        raise ContractError(f"trust root: two {what} have the same name")
    for signer in signers:
        checked_name(signer.name, f"trust root: {what}: name")
