"""Commands: what a coordinator asks of one node once, and what the node answers.

A command is signed (envelope of type `COMMAND`), is for one node, has a nonce of its own and soon expires; it comes on
`commands/<nonce>`, and the reply goes out on `replies/<nonce>`. A reply is short lines of text: no frame fits in one.
"""

from datetime import timedelta
from enum import StrEnum

import msgspec

from protos.identity import NodeId
from protos.moments import Moment

LIFETIME = timedelta(minutes=1)
"""How long a coordinator's command counts."""
LONGEST_LIFETIME = timedelta(minutes=10)
"""A command that would count longer is refused: its nonce has to be remembered for so long."""
MAX_LINES, MAX_LINE = 200, 400
"""Of a reply: lines, and characters in one."""


class Verb(StrEnum):
    """What a node can be asked. `logs` takes `lines`: how many of the newest."""

    LOGS = "logs"
    DIAGNOSTICS = "diagnostics"


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order. `nonce` is 32 hexadecimal digits; a verb that a node does not know is answered with that."""

    node: NodeId
    nonce: str
    issued_at: Moment
    expires: Moment
    verb: str
    arguments: dict[str, str] = {}


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node answers to the command of a nonce; where it is not `ok`, why."""

    node: NodeId
    nonce: str
    ok: bool
    lines: tuple[str, ...] = ()
