"""A gate that lets everything through: for tests of what lies behind it, and for the control arm of a leak."""

from edge_node.link.gate import Gate
from protos.egress import Refusal
from protos.topics import Topics


class OpenGate(Gate):
    """No contract."""

    def __init__(self) -> None:
        super().__init__(Topics())

    def refusal(self, topic: str, payload: bytes) -> Refusal | None:
        """None."""
        del topic, payload
        return None
