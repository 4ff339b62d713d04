"""The one place where messages leave: what the egress contract does not allow stops here.

`connection.py`, the one door to the MQTT library, hands every message to a gate first: results, greetings, wills and
farewells. The contract is `protos/egress.py`; the node's own configuration (`[egress]`) can only take away from it.

A refused message is not sent, is counted by its reason and logged once per reason; it is never kept to be tried again.
"""

import logging
import time
from collections.abc import Callable

import msgspec

from edge_node.config import EgressLimits
from edge_node.link.budget import Budget
from edge_node.telemetry.traffic import Traffic
from protos.deployment import Egress
from protos.egress import NOTHING_DECLARED, Declared, Leaving, Refusal, check, kind_of
from protos.packing import LARGE, packed
from protos.topics import Topics

LIVE = frozenset({Leaving.LIVE, Leaving.LIVE_STATE, Leaving.AVAILABILITY})
BUDGETED = frozenset({Leaving.DURABLE, Leaving.LIVE, Leaving.METRICS, Leaving.PROGRESS})
"""Held back where `max_kbit_s` is used up: what is small and tells that the node is there always leaves."""
KNOWN_TOPICS = 1024
PACK_EVERY_S = 0.01

log = logging.getLogger(__name__)


def worth_packing(size: int, since_s: float) -> bool:
    """Whether to pack a durable message: a batch always; single ones up to a hundred a second, where it is the network
    that has to be spared and not the processor. Pure.
    """
    return size >= LARGE or since_s >= PACK_EVERY_S


def switched_off(kind: Leaving, limits: EgressLimits) -> bool:
    """Whether a node's configuration keeps a kind on the device. Pure."""
    return (kind in LIVE and not limits.live) or (kind is Leaving.METRICS and not limits.metrics)


class Gate:
    """What may leave one node. Thread-safe. `declared` says what the deployment of a pipeline declares."""

    def __init__(
        self,
        topics: Topics,
        limits: EgressLimits = EgressLimits(),  # noqa: B008 (frozen)
        *,
        declared: Declared = lambda _: NOTHING_DECLARED,
        traffic: Traffic | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.traffic = Traffic() if traffic is None else traffic
        self._topics, self._limits, self._declared, self._clock = topics, limits, declared, clock
        self._budget = Budget(limits.max_kbit_s, clock())
        self._kinds: dict[str, Leaving | None] = {}
        self._durable_at = float("-inf")

    def refusal(self, topic: str, payload: bytes) -> Refusal | None:
        """Why a message may never leave, None where it may. Counts nothing."""
        kind = self._kind(topic)
        if kind is None:
            return Refusal("unknown_topic", f"no message of a node belongs on {topic!r:.200}")
        if switched_off(kind, self._limits):
            return Refusal("switched_off", f"this node's configuration keeps {kind} here (egress)")
        return check(kind, payload, self._narrowed)

    def may_leave(self, topic: str, payload: bytes) -> bool:
        """Whether to hand a message over now; a refusal is counted, and logged the first time."""
        refusal = self.refusal(topic, payload)
        if refusal is not None:
            if self.traffic.refused(refusal.reason) == 1:
                log.error("kept here: %s (further ones like it are counted in edge-node status)", refusal.line)
            return False
        return self._kind(topic) not in BUDGETED or self._budget.may_leave(self._clock())

    def packed(self, topic: str, payload: bytes) -> bytes:
        """The message as it travels: a durable one in fewer bytes, unless so many leave that packing would cost."""
        now = self._clock()
        if self._kind(topic) is not Leaving.DURABLE or not worth_packing(len(payload), now - self._durable_at):
            return payload
        self._durable_at = now
        return packed(payload)

    def left(self, topic: str, size: int) -> None:
        """A message with so many bytes of payload was handed over."""
        self._budget.take(size)
        kind = self._kind(topic)
        self.traffic.left("unknown" if kind is None else kind.value, size)

    def _kind(self, topic: str) -> Leaving | None:
        if topic not in self._kinds:
            if len(self._kinds) >= KNOWN_TOPICS:
                self._kinds.clear()
            self._kinds[topic] = kind_of(topic, self._topics)
        return self._kinds[topic]

    def _narrowed(self, pipeline: str) -> Egress:
        declared, most = self._declared(pipeline), self._limits.tensor_bytes
        if most is None or declared.tensor is None:
            return declared
        return msgspec.structs.replace(declared, tensor=min(most, declared.tensor) or None)
