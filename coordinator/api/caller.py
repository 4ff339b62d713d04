"""Who makes the gRPC call under way: set by the interceptor that checks what they may do."""

from contextvars import ContextVar

from protos.principal import Principal

caller: ContextVar[Principal | None] = ContextVar("caller", default=None)
"""None outside of a call, and where the caller has no certificate (enrollment)."""
