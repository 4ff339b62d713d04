"""Which command a node carries out. Pure: raises or returns, touches nothing.

The rules: signed by the coordinator that this node trusts, for this node, not expired, and never twice.

    command = accept(envelope, trusted, node, seen, now)
    seen = remembered(seen, command, now)      # written down before it is carried out
"""

from collections.abc import Mapping
from datetime import datetime

from edge_node.errors import Refused
from edge_node.store.trust import believed
from protos.command import LONGEST_LIFETIME, Command
from protos.envelope import COMMAND
from protos.identity import NodeId, is_id

MAX_SEEN = 1000
"""Commands that have not expired yet; a coordinator that sends more is not well."""

Seen = Mapping[str, datetime]
"""Nonces of commands that were accepted, and when each expires."""


def accept(sealed: bytes, trusted: frozenset[bytes], node: NodeId, seen: Seen, now: datetime) -> Command:
    """The command in an envelope, where it may be carried out.

    Args:
        sealed: the envelope.
        trusted: the coordinator's raw public keys.
        node: this node.
        seen: what was accepted before.
        now: the node's own clock.

    Raises:
        Refused: why it may not.
    """
    command = _opened(sealed, trusted)
    if command.node != node:
        raise Refused(f"a command for node {command.node}, not for this one")
    if not is_id(command.nonce):
        raise Refused("a command whose nonce is none")
    if command.expires - command.issued_at > LONGEST_LIFETIME:
        raise Refused(f"command {command.verb!r} would count for {command.expires - command.issued_at}: too long")
    if now >= command.expires:
        raise Refused(f"command {command.verb!r} expired at {command.expires:%Y-%m-%d %H:%M:%S}: it came too late")
    if command.nonce in seen:
        raise Refused(f"command {command.verb!r} was carried out before: a replay")
    if len(_fresh(seen, now)) >= MAX_SEEN:
        raise Refused(f"more than {MAX_SEEN} commands at a time")
    return command


def remembered(seen: Seen, command: Command, now: datetime) -> dict[str, datetime]:
    """What to remember from now on; what has expired is refused for that."""
    return {**_fresh(seen, now), command.nonce: command.expires}


def _fresh(seen: Seen, now: datetime) -> dict[str, datetime]:
    return {nonce: expires for nonce, expires in seen.items() if expires > now}


def _opened(sealed: bytes, trusted: frozenset[bytes]) -> Command:
    return believed(sealed, COMMAND, Command, trusted, "command")[1]
