"""Ids that are issued once and never change, and the grammar of names.

A node id and a stream id are 128 random bits in lower-case hexadecimal (32 characters). Names (of nodes, sites,
models, pipelines, sources, deployments) are data that may be edited; they appear in MQTT topics and file names, so
their grammar is that of a DNS label with inner dots and underscores.
"""

import re
from typing import NewType

from protos.errors import ContractError

NodeId = NewType("NodeId", str)
StreamId = NewType("StreamId", str)

ID_BYTES = 16
NAME_RULE = "1 to 63 of a-z, 0-9, '-', '_', '.', beginning and ending with a letter or digit"

_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


def node_id(random: bytes) -> NodeId:
    """The id made of 16 random bytes."""
    return NodeId(_hex(random))


def stream_id(random: bytes) -> StreamId:
    """The id made of 16 random bytes."""
    return StreamId(_hex(random))


def is_id(text: str) -> bool:
    """Whether the text is a node id or a stream id."""
    return _ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether the text follows the grammar of names."""
    return _NAME.fullmatch(text) is not None


def checked_name(text: str, what: str) -> str:
    """The text itself.

    Raises:
        ContractError: the text does not follow the grammar; `what` says whose name it is.
    """
    if not is_name(text):
        raise ContractError(f"{what} {text!r} is not a name: use {NAME_RULE}")
    return text


def _hex(random: bytes) -> str:
    if len(random) != ID_BYTES:
        raise ValueError(f"an id is made of {ID_BYTES} random bytes, not {len(random)}")
    return random.hex()
