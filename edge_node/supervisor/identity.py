"""Who this node is: the id that the coordinator gave it, and the keys that it pinned. `identity.json`, mode 0600."""

from pathlib import Path

import msgspec

from edge_node.errors import BadInput, Refused
from edge_node.link.coordinator import Registration
from edge_node.store.files import read_if_there, write_durably
from protos.envelope import TRUST_ROOT, unverified
from protos.errors import ContractError
from protos.identity import NodeId
from protos.trust import TrustRoot, followed, newest, read_root


class Identity(msgspec.Struct, frozen=True):
    """What the node keeps of its registration.

    `coordinator` is the address that gave it. `roots` are the pinned trust root and those that followed it, oldest
    first; `trusted_keys`, raw Ed25519 public keys, are the coordinator's by the newest of them.
    """

    node: NodeId
    coordinator: str
    broker_url: str
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]
    name: str
    site: str
    roots: tuple[bytes, ...] = ()

    @property
    def trusted(self) -> frozenset[bytes]:
        """The coordinator's keys."""
        return frozenset(self.trusted_keys)

    def trust_roots(self) -> tuple[TrustRoot, ...]:
        """The roots that this node has held, oldest first; all were checked before they came here."""
        return tuple(read_root(unverified(sealed, TRUST_ROOT)) for sealed in self.roots)


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
            "if the coordinator was made anew, delete this node's identity.json and desired.json"
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
