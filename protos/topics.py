"""Every MQTT topic: built, parsed, with its quality of service and its retain flag.

    topics = Topics("edge/v1")
    topics.desired(node)                 -> edge/v1/nodes/<id>/desired
    topics.parse("edge/v1/nodes/…/hello") -> NodeTopic(kind=Kind.HELLO, node=…, name=None)

Control topics carry the node's immutable id; live topics carry today's names.
"""

from dataclasses import dataclass
from enum import StrEnum

from protos.errors import ContractError
from protos.identity import NodeId, checked_name, is_id

DEFAULT_PREFIX = "edge/v1"
HOME_ASSISTANT = "homeassistant"
"""Home Assistant's own prefix: where devices say what they are."""
MAX_PAYLOAD = 100 * 1024
"""No message is larger, in bytes."""


class Kind(StrEnum):
    """The last level of a topic below `nodes/<id>/`; `…/<name>` follows for alerts, commands and replies."""

    STATUS = "status"
    HELLO = "hello"
    DESIRED = "desired"
    REPORTED = "reported"
    PROGRESS = "progress"
    DURABLE = "durable"
    ACKED = "acked"
    ALERTS = "alerts"
    METRICS = "metrics"
    COMMANDS = "commands"
    REPLIES = "replies"


@dataclass(frozen=True)
class Delivery:
    """How messages of a topic travel."""

    qos: int
    retain: bool


DELIVERY = {
    Kind.STATUS: Delivery(1, retain=True),
    Kind.HELLO: Delivery(1, retain=False),
    Kind.DESIRED: Delivery(1, retain=True),
    Kind.REPORTED: Delivery(1, retain=True),
    Kind.PROGRESS: Delivery(0, retain=False),
    Kind.DURABLE: Delivery(1, retain=False),
    Kind.ACKED: Delivery(1, retain=True),
    Kind.ALERTS: Delivery(1, retain=False),
    Kind.METRICS: Delivery(0, retain=False),
    Kind.COMMANDS: Delivery(1, retain=False),
    Kind.REPLIES: Delivery(1, retain=False),
}

LIVE_STATES = frozenset({"label", "count", "present"})
"""The small last values of a pipeline."""
NAMED = frozenset({Kind.ALERTS, Kind.COMMANDS, Kind.REPLIES})
FROM_COORDINATOR = frozenset({Kind.DESIRED, Kind.ACKED, Kind.COMMANDS})
RETAINED = tuple(kind for kind, delivery in DELIVERY.items() if delivery.retain)


@dataclass(frozen=True)
class NodeTopic:
    """A parsed control topic."""

    kind: Kind
    node: NodeId
    name: str | None = None


@dataclass(frozen=True)
class Topics:
    """The topics below one prefix."""

    prefix: str = DEFAULT_PREFIX

    def of_node(self, node: NodeId, kind: Kind, name: str | None = None) -> str:
        """The control topic `nodes/<id>/<kind>[/<name>]`."""
        if (name is not None) != (kind in NAMED):
            raise ValueError(f"{kind} topics {'need' if kind in NAMED else 'have no'} name")
        base = f"{self.prefix}/nodes/{node}/{kind}"
        return base if name is None else f"{base}/{name}"

    def from_all_nodes(self, kind: Kind) -> str:
        """The filter for one kind of every node."""
        return f"{self.prefix}/nodes/+/{kind}" + ("/+" if kind in NAMED else "")

    def live(self, site: str, node_name: str, pipeline: str) -> str:
        """Where a pipeline's fresh results go; also the `source` of its events."""
        return f"{self.prefix}/live/{site}/{node_name}/{pipeline}"

    def live_state(self, site: str, node_name: str, pipeline: str, state: str) -> str:
        """A small retained last value of a pipeline."""
        return f"{self.live(site, node_name, pipeline)}/{state}"

    def availability(self, site: str, node_name: str) -> str:
        """`online` or `offline`, for subscribers of live topics."""
        return f"{self.prefix}/live/{site}/{node_name}/availability"

    def parse(self, topic: str) -> NodeTopic | None:
        """The control topic that the text is, or None."""
        head = f"{self.prefix}/nodes/"
        if not topic.startswith(head):
            return None
        match topic[len(head) :].split("/"):
            case [node, word]:
                name = None
            case [node, word, name] if name:
                pass
            case _:
                return None
        if not is_id(node) or word not in Kind.__members__.values():
            return None
        kind = Kind(word)
        if (kind in NAMED) != (name is not None):
            return None
        return NodeTopic(kind, NodeId(node), name)


def checked_prefix(text: str) -> str:
    """The text as a prefix of topics.

    Raises:
        ContractError: it has an empty level, a wildcard, or a level that is no name; or it is Home Assistant's, which
            everybody with a credential may read.
    """
    if text.partition("/")[0] == HOME_ASSISTANT:
        raise ContractError(
            f"topic prefix {text!r}: {HOME_ASSISTANT} is for discovery by Home Assistant: choose another"
        )
    for level in text.split("/"):
        checked_name(level, f"topic prefix {text!r}: level")
    return text
