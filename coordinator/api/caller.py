"""Who makes the gRPC call under way: set by the interceptor that checks what they may do."""

from contextvars import ContextVar

from coordinator.errors import Refused
from protos.identity import NodeId
from protos.principal import Principal, Role

caller: ContextVar[Principal | None] = ContextVar("caller", default=None)
"""None outside of a call, and where the caller has no certificate (enrollment)."""


def caller_name() -> str:
    """The caller's common name, for records of who did something."""
    principal = caller.get()
    return "" if principal is None else principal.common_name


def calling_node() -> NodeId:
    """The node that calls.

    Raises:
        Refused: the caller is none.
    """
    principal = caller.get()
    if principal is None or principal.role is not Role.NODE:
        raise Refused("only a node calls this, with its own certificate")
    return NodeId(principal.name)
