"""What the call under way does: carried to the transaction that does it, so that both commit or neither."""

from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.audit.chain import DONE, Act

SENT = "sent"
"""The outcome of what was asked of somebody else, who has not answered yet."""


@dataclass
class Pending:
    """An act that waits for the first transaction that writes; `recorded` once it is in the log."""

    act: Act
    at: datetime
    recorded: bool = False


acting: ContextVar[Pending | None] = ContextVar("acting", default=None)
"""Set for the length of a call (coordinator/api/audited.py), read by coordinator/db/control.py. Threads that serve the
call see the same object."""


def repeated() -> None:
    """Say that the act under way was done before, and stands in the log: it is not recorded again."""
    pending = acting.get()
    if pending is not None:
        pending.recorded = True


def sent() -> None:
    """Say that the act under way only begins with the next transaction: that one's entry says so."""
    pending = acting.get()
    if pending is not None:
        pending.act = replace(pending.act, outcome=SENT)


def answered() -> None:
    """Say that what was sent is done: an entry of its own, when the call ends."""
    pending = acting.get()
    if pending is not None:
        pending.act, pending.recorded = replace(pending.act, outcome=DONE), False


def about(subject: str, **detail: object) -> None:
    """Say what the act under way turned out to be about: what its caller could not know."""
    pending = acting.get()
    if pending is not None:
        pending.act = replace(pending.act, subject=subject, detail={**pending.act.detail, **detail})
