"""Who this node is: the id that the coordinator gave it, and the keys that it pinned. `identity.json`, mode 0600."""

from pathlib import Path

import msgspec

from edge_node.errors import BadInput, Refused
from edge_node.link.coordinator import Registration
from edge_node.store.files import read_if_there, write_durably
from protos.identity import NodeId


class Identity(msgspec.Struct, frozen=True):
    """What the node keeps of its registration.

    `coordinator` is the address that gave it; `trusted_keys` are raw Ed25519 public keys, pinned at first contact.
    """

    node: NodeId
    coordinator: str
    broker_url: str
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]
    name: str
    site: str

    @property
    def trusted(self) -> frozenset[bytes]:
        """The pinned keys."""
        return frozenset(self.trusted_keys)


def pinned(before: Identity | None, told: Registration, address: str) -> Identity:
    """The identity after the coordinator's answer. Pure.

    Raises:
        Refused: it is another coordinator than the one that this node belongs to.
    """
    if before is not None and frozenset(told.trusted_keys) != before.trusted:
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
        trusted_keys=told.trusted_keys,
        name=told.name,
        site=told.site,
    )


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
