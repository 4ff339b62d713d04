"""Decides who may publish and read what at the broker. One set of rules for every broker; no socket, no database.

    grants = grants_of("9f2c…e1", table, Topics("edge/v1"))     # None: let in nowhere
    allows(grants.publish, "edge/v1/nodes/9f2c…e1/status")      -> True
    allows(grants.read, "edge/v1/nodes/+/desired")              -> False

A node has the topics of its id, and the live topics of the place that it has today; the coordinator has everything
below the prefix; people and programs read live topics; publishers of models have no business here. Whoever the table
does not name is let in nowhere. The embedded broker asks these functions, Mosquitto's plugin gets the same patterns
(`dynamic_security.py`). Who is in the table is the caller's business.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from protos.errors import ContractError
from protos.identity import NodeId
from protos.principal import Role, principal_of
from protos.topics import FROM_COORDINATOR, HOME_ASSISTANT, NAMED, Kind, Topics

READERS = frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN})
MAX_TOPIC = 512
"""Characters. Ours have less than 250; a longer topic or filter matches no rule."""


@dataclass(frozen=True)
class Place:
    """What a node is called today: its live topics."""

    site: str
    name: str


@dataclass(frozen=True)
class AccessTable:
    """Who is let in beside the coordinator: nodes with their places, and the common names of people and programs."""

    places: Mapping[NodeId, Place] = field(default_factory=dict)
    readers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Grants:
    """Topic filters: what may be published (also by a will), and what may be subscribed to and received."""

    publish: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


def access_table(places: Mapping[NodeId, Place], common_names: Iterable[str], revoked: Collection[str]) -> AccessTable:
    """The table of all nodes and certificates, without those whose principal is revoked."""
    known = {node: place for node, place in places.items() if node not in revoked}
    people = (name for name in common_names if name not in revoked and _role(name) in READERS)
    return AccessTable(known, frozenset(people))


def grants_of(common_name: str, table: AccessTable, topics: Topics) -> Grants | None:
    """What the principal of a certificate may do; None: it is let in nowhere."""
    role = _role(common_name)
    if role is Role.COORDINATOR:
        return _coordinator(topics)
    if role is Role.NODE:
        node = NodeId(common_name)
        place = table.places.get(node)
        return None if place is None else _node(node, place, topics)
    if role in READERS and common_name in table.readers:
        return Grants(read=(f"{topics.prefix}/live/#", f"{HOME_ASSISTANT}/#"))
    return None


def allows(patterns: tuple[str, ...], topic_filter: str) -> bool:
    """Whether one of the patterns matches everything that a filter (or a topic, which is one) can match."""
    return len(topic_filter) <= MAX_TOPIC and "\0" not in topic_filter and _allows(patterns, topic_filter)


@lru_cache(maxsize=4096)
def _allows(patterns: tuple[str, ...], topic_filter: str) -> bool:
    """Remembered: a broker asks for every message."""
    levels = topic_filter.split("/")
    return any(covers(pattern.split("/"), levels) for pattern in patterns)


def covers(pattern: list[str], levels: list[str]) -> bool:
    """Whether a pattern matches every topic that a filter matches, both as levels (MQTT 3.1.1, 4.7).

    Patterns never begin with a wildcard, so that `$` topics need no rule of their own.
    """
    for index, wanted in enumerate(pattern):
        if wanted == "#":
            return True
        if index == len(levels) or levels[index] == "#":
            return False
        if wanted == "+" and levels[index]:
            continue
        if wanted != levels[index]:
            return False
    return len(levels) == len(pattern)


def _role(common_name: str) -> Role | None:
    try:
        return principal_of(common_name).role
    except ContractError:
        return None


def _coordinator(topics: Topics) -> Grants:
    """It also clears what removed nodes have left with Home Assistant."""
    return Grants(publish=(f"{topics.prefix}/#", f"{HOME_ASSISTANT}/device/+/config"), read=(f"{topics.prefix}/#",))


def _node(node: NodeId, place: Place, topics: Topics) -> Grants:
    live = f"{topics.prefix}/live/{place.site}/{place.name}"
    sends = tuple(_of_kind(node, kind, topics) for kind in Kind if kind not in FROM_COORDINATOR)
    return Grants(
        publish=(*sends, f"{live}/+", f"{live}/+/+", f"{HOME_ASSISTANT}/device/{node}/config"),
        read=tuple(_of_kind(node, kind, topics) for kind in Kind if kind in FROM_COORDINATOR),
    )


def _of_kind(node: NodeId, kind: Kind, topics: Topics) -> str:
    return topics.of_node(node, kind, "+" if kind in NAMED else None)
