"""Who this node is: the id that the coordinator gave it, and the keys that it pinned. `identity.json`, mode 0600.

Beside it lie `node.key` (0600, made here), `node.pem` (the certificate, its times in the line before it) and `ca.pem`
(the authorities that are trusted). How they come here: `enrolling.py`; how they are renewed: `upkeep.py`.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge_node.errors import BadInput, Refused
from edge_node.link.address import at_host_of
from edge_node.link.coordinator import Registration
from edge_node.link.enrollment import Certified
from edge_node.link.tls import Credentials
from edge_node.store.files import read_if_there, write_durably
from protos.digest import digest_of
from protos.envelope import TRUST_ROOT, unverified
from protos.errors import ContractError
from protos.identity import NodeId
from protos.trust import TrustRoot, followed, newest, read_root

IDENTITY, KEY, CERTIFICATE, AUTHORITIES = "identity.json", "node.key", "node.pem", "ca.pem"

_TRUSTED = re.compile(rb"^authorities (\S+)$", re.MULTILINE)
_TIMES = re.compile(rb"^valid from (\S+) to (\S+)$", re.MULTILINE)


class Identity(msgspec.Struct, frozen=True):
    """What the node keeps of its registration.

    `coordinator` is the address of its gRPC, `enrollment` that of its enrollment. `roots` are the pinned trust root and
    those that followed it, oldest first; `trusted_keys`, raw Ed25519 public keys, are the coordinator's by the newest
    of them.
    """

    node: NodeId
    coordinator: str
    broker_url: str
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]
    name: str
    site: str
    roots: tuple[bytes, ...] = ()
    enrollment: str = ""
    former: tuple[NodeId, ...] = ()
    """the ids of this device before: results that wait may name them"""

    @property
    def trusted(self) -> frozenset[bytes]:
        """The coordinator's keys."""
        return frozenset(self.trusted_keys)

    @property
    def once_trusted(self) -> frozenset[bytes]:
        """The coordinator's keys by any root that is held: what was adopted under one goes on under the next."""
        return self.trusted.union(*(root.coordinator_keys for root in self.trust_roots()))

    def trust_roots(self) -> tuple[TrustRoot, ...]:
        """The roots that this node has held, oldest first; all were checked before they came here."""
        return tuple(read_root(unverified(sealed, TRUST_ROOT)) for sealed in self.roots)


def credentials_in(folder: Path) -> Credentials:
    """The files of the identity in a state folder."""
    return Credentials(str(folder / CERTIFICATE), str(folder / KEY), str(folder / AUTHORITIES))


def authorities_of(roots: Sequence[bytes], told: Iterable[bytes]) -> bytes:
    """The authorities (PEM) to trust: those that the newest root names, else those that were told."""
    root = newest(roots)
    return "".join(root.authorities).encode() if root is not None and root.authorities else b"".join(told)


def certificate_text(certified: Certified, authorities: bytes = b"") -> bytes:
    """A certificate (PEM) after a line with its times, and one with the authorities that were trusted when it came:
    the agent imports no reader of certificates.
    """
    trusted = f"authorities {digest_of(authorities)}\n" if authorities else ""
    begins, ends = (datetime.fromtimestamp(at, UTC).isoformat() for at in (certified.not_before, certified.not_after))
    return f"valid from {begins} to {ends}\n{trusted}".encode() + certified.certificate


def is_of_former(text: bytes, authorities: bytes) -> bool:
    """Whether others are trusted now than when the certificate came: it may be of one that soon does not count."""
    found = _TRUSTED.search(text)
    return found is not None and found[1] != digest_of(authorities).encode()


def certificate_times(text: bytes) -> tuple[float, float]:
    """Since when and until when a certificate is valid, in seconds since 1970; twice 0 where the line is missing."""
    found = _TIMES.search(text)
    try:
        times = [datetime.fromisoformat(one.decode()).timestamp() for one in found.groups()] if found else [0.0, 0.0]
    except ValueError:
        return 0.0, 0.0
    return times[0], times[1]


def has_moved(before: Identity, after: Identity) -> bool:
    """Whether the links have to be made anew: who this is, or where the broker is, has changed. Pure."""
    return (before.node, before.broker_url, before.topic_prefix) != (after.node, after.broker_url, after.topic_prefix)


def pinned(before: Identity | None, told: Registration, address: str) -> Identity:
    """The identity after the coordinator's answer. Pure.

    Raises:
        Refused: it is another coordinator than the one that this node belongs to.
    """
    roots = _roots(before, told, address)
    keys = _coordinator_keys(before, roots, told)
    if not frozenset(told.trusted_keys) <= keys:
        raise Refused(
            f"the coordinator at {address} signs with another key than the one pinned at first contact: "
            "if the coordinator was made anew, enroll this node anew with edge-node enroll TOKEN --again"
        )
    if before is not None and told.node_id != before.node:
        raise Refused(
            f"the coordinator at {address} gives this node another id ({told.node_id}): keeping {before.node}"
        )
    return Identity(
        node=told.node_id,
        coordinator=address,
        broker_url=told.broker_url,
        topic_prefix=told.topic_prefix,
        trusted_keys=tuple(sorted(keys)),
        name=told.name,
        site=told.site,
        roots=roots,
        former=() if before is None else before.former,
        enrollment="" if before is None else at_host_of(address, f":{before.enrollment.rpartition(':')[2]}"),
    )


def _roots(before: Identity | None, told: Registration, address: str) -> tuple[bytes, ...]:
    try:
        return followed(() if before is None else before.roots, told.trust_roots)
    except ContractError as error:
        raise Refused(f"the coordinator at {address} offers a trust root that cannot be followed: {error}") from None


def _coordinator_keys(before: Identity | None, roots: tuple[bytes, ...], told: Registration) -> frozenset[bytes]:
    """Whose documents count: as the newest root says; where there is none as pinned, and at first contact as told.

    A node that pinned keys before roots existed takes a first root that names one of them.
    """
    root = newest(roots)
    if before is None:
        return frozenset(told.trusted_keys) if root is None else root.coordinator_keys
    if root is None:
        return before.trusted
    if not before.roots and before.trusted.isdisjoint(root.coordinator_keys):
        return frozenset()
    return root.coordinator_keys


class IdentityFile:
    """The identity on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Identity | None:
        """The identity of earlier runs, None before first contact.

        Raises:
            BadInput: the file is damaged; a new identity would be another node.
        """
        content = read_if_there(self._path)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=Identity)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadInput(f"{self._path} is damaged ({error}): restore it, or delete it to join anew") from None

    def save(self, identity: Identity) -> None:
        """Keep the identity, for this user's eyes only."""
        write_durably(self._path, msgspec.json.encode(identity), mode=0o600)

    def save_authorities(self, identity: Identity) -> None:
        """From the next connection on trust the authorities that the newest root names, if it names any."""
        file, named = self._path.with_name(AUTHORITIES), authorities_of(identity.roots, ())
        if named and named != read_if_there(file):
            write_durably(file, named)
