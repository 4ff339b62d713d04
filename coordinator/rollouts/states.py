"""The states of a rollout and of its members, and which may follow which. Tables: every state is listed.

What moves a rollout from one to the next is decided in `advance.py`; what a person may order, here.
"""

from enum import StrEnum


class State(StrEnum):
    """Of a rollout."""

    DRAFT = "draft"
    """written down; nothing has begun"""
    AWAITING_APPROVAL = "awaiting approval"
    """an admin has to promote it"""
    QUEUED = "queued"
    """another rollout has its nodes"""
    SHADOWING = "shadowing"
    """the candidate runs beside the current version on the canary's nodes"""
    RUNNING = "running"
    """nodes of the waves up to `Rollout.wave` are given the new version"""
    PAUSED = "paused"
    """nobody else starts until a person resumes"""
    PROMOTING = "promoting"
    """every wave is healthy: the deployment becomes the new version"""
    COMPLETED = "completed"
    REVERTING = "reverting"
    """nodes that have the new version are given the one before"""
    REVERTED = "reverted"
    FAILED = "failed"
    """a gate or a deadline failed; nobody else starts; a person decides"""
    ABORTED = "aborted"


class Order(StrEnum):
    """What a person may order."""

    START = "start"
    PROMOTE = "promote"
    """approve; end the shadow, or let the next wave begin, without waiting for the clock"""
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    """give up: nodes that have the new version return to the one before"""
    REVERT = "revert"


class Stage(StrEnum):
    """Of a member: a node of a rollout."""

    WAITING = "waiting"
    SHADOWING = "shadowing"
    ORDERED = "ordered"
    """its document names the new version; it holds a place of `max_parallel`"""
    ABSENT = "absent"
    """ordered, and not heard of since within the healthy deadline: it gets the version when it returns"""
    HEALTHY = "healthy"
    """the new version has passed its probation there"""
    FAILED = "failed"
    REVERTING = "reverting"
    REVERTED = "reverted"


FOLLOWS: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.AWAITING_APPROVAL, State.QUEUED, State.SHADOWING, State.RUNNING, State.ABORTED}),
    State.AWAITING_APPROVAL: frozenset({State.QUEUED, State.SHADOWING, State.RUNNING, State.ABORTED}),
    State.QUEUED: frozenset({State.SHADOWING, State.RUNNING, State.PAUSED, State.ABORTED}),
    State.SHADOWING: frozenset({State.RUNNING, State.PAUSED, State.FAILED, State.REVERTING, State.ABORTED}),
    State.RUNNING: frozenset({State.PAUSED, State.PROMOTING, State.FAILED, State.REVERTING}),
    State.PAUSED: frozenset({State.QUEUED, State.SHADOWING, State.RUNNING, State.REVERTING, State.ABORTED}),
    State.PROMOTING: frozenset({State.COMPLETED}),
    State.COMPLETED: frozenset(),
    State.REVERTING: frozenset({State.REVERTED, State.ABORTED, State.FAILED}),
    State.REVERTED: frozenset(),
    State.FAILED: frozenset({State.RUNNING, State.REVERTING, State.ABORTED}),
    State.ABORTED: frozenset(),
}

ENDED = frozenset(state for state, following in FOLLOWS.items() if not following)
"""Nothing follows; the nodes are free for another rollout."""

STARTING = frozenset({State.SHADOWING, State.RUNNING, State.PROMOTING})
"""Only in these may a member be given the candidate or the new version."""

ORDERS: dict[State, frozenset[Order]] = {
    State.DRAFT: frozenset({Order.START, Order.ABORT}),
    State.AWAITING_APPROVAL: frozenset({Order.PROMOTE, Order.ABORT}),
    State.QUEUED: frozenset({Order.PAUSE, Order.ABORT}),
    State.SHADOWING: frozenset({Order.PROMOTE, Order.PAUSE, Order.ABORT, Order.REVERT}),
    State.RUNNING: frozenset({Order.PROMOTE, Order.PAUSE, Order.ABORT, Order.REVERT}),
    State.PAUSED: frozenset({Order.RESUME, Order.ABORT, Order.REVERT}),
    State.PROMOTING: frozenset(),
    State.COMPLETED: frozenset(),
    State.REVERTING: frozenset(),
    State.REVERTED: frozenset(),
    State.FAILED: frozenset({Order.RESUME, Order.ABORT, Order.REVERT}),
    State.ABORTED: frozenset(),
}
"""What may be ordered in which state."""
