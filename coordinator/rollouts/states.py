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
    """approve; end the shadow, or let the next wave begin, without waiting for clock or gates"""
    PAUSE = "pause"
    RESUME = "resume"
    """go on where it stopped; after a failure the members that failed try again, and the gates hold as before"""
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
    """it is not there, or did not take up its order within the healthy deadline: it holds no place and its document
    names the version before; when it returns it waits for a place again"""
    HEALTHY = "healthy"
    """the new version has passed its probation there"""
    FAILED = "failed"
    REVERTING = "reverting"
    REVERTED = "reverted"
    LEFT = "left"
    """the deployment does not select it any more; when it does again, the node waits for a place anew"""


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
    State.FAILED: frozenset({State.SHADOWING, State.RUNNING, State.REVERTING, State.ABORTED}),
    State.ABORTED: frozenset(),
}

STAGES: dict[Stage, frozenset[Stage]] = {
    Stage.WAITING: frozenset({Stage.SHADOWING, Stage.ORDERED, Stage.ABSENT, Stage.LEFT}),
    Stage.SHADOWING: frozenset({Stage.WAITING, Stage.FAILED, Stage.LEFT}),
    Stage.ORDERED: frozenset({Stage.HEALTHY, Stage.FAILED, Stage.ABSENT, Stage.REVERTING, Stage.LEFT}),
    Stage.ABSENT: frozenset({Stage.WAITING, Stage.LEFT}),
    Stage.HEALTHY: frozenset({Stage.FAILED, Stage.REVERTING, Stage.LEFT}),
    Stage.FAILED: frozenset({Stage.WAITING, Stage.REVERTING, Stage.LEFT}),
    Stage.REVERTING: frozenset({Stage.REVERTED, Stage.WAITING, Stage.LEFT}),
    Stage.REVERTED: frozenset({Stage.WAITING, Stage.LEFT}),
    Stage.LEFT: frozenset({Stage.WAITING}),
}
"""Which stage may follow which. The new version is in a document only while ORDERED or HEALTHY."""

HAS_NEW = frozenset({Stage.ORDERED, Stage.HEALTHY})
"""The stages in which a member's document names the new version."""

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
    State.FAILED: frozenset({Order.PROMOTE, Order.RESUME, Order.ABORT, Order.REVERT}),
    State.ABORTED: frozenset(),
}
"""What may be ordered in which state."""
