"""A new rollout: what it moves from and to, its nodes, and whether it may begin; inside the caller's transaction."""

from dataclasses import replace
from datetime import datetime

import msgspec

from coordinator.errors import Conflict, NotFound, Refused
from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.applying import check_no_clash, wanted_of, with_applied
from coordinator.fleet.desired import selected
from coordinator.fleet.documents import changes, checked
from coordinator.fleet.records import Applied
from coordinator.rollouts.draft import Draft
from coordinator.rollouts.enacting import Transaction
from coordinator.rollouts.orders import order
from coordinator.rollouts.records import Decision, Event, Rollout
from coordinator.rollouts.rounds import others_of
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import Order, State
from coordinator.rollouts.waves import enrolled
from protos.deployment import Deployment


def after_of(tx: Transaction, spec: RolloutSpec) -> Deployment:
    """The deployment as it will be: the same, of another version.

    Raises:
        NotFound: there is no such deployment.
    """
    applied = _applied(tx, spec)
    return msgspec.structs.replace(applied.spec, model=spec.to)


def drafted(tx: Transaction, spec: RolloutSpec, after: Deployment, by: str, now: datetime) -> Draft:
    """The rollout of a deployment to `after`; nothing is stored.

    Raises:
        NotFound: there is no such deployment, or no such model version.
        Conflict: there is nothing to move, another rollout moves it, or a pipeline's name is taken on a node.
        Refused: its document would grow beyond a message.
    """
    before = _applied(tx, spec)
    wanted = wanted_of(tx, after, before, now)
    _check_is_move(before, wanted, spec)
    _check_nobody_moves(tx, spec.deployment)
    nodes = selected(before, admitted_nodes(tx))
    deployments = with_applied(tx.deployments.all(), wanted)
    check_no_clash(tx, after, nodes, deployments)
    checked(changes(tx, nodes, deployments, now))
    newest = tx.rollouts.newest_of(spec.deployment)
    number = 1 if newest is None else int(newest.id.rpartition("-")[2]) + 1
    rollout = Rollout(
        id=f"{spec.deployment}-{number}",
        spec=spec,
        before=before.spec,
        after=after,
        before_digest=before.digest,
        after_digest=wanted.digest,
        state=State.DRAFT,
        created_at=now,
        created_by=by,
        since=now,
    )
    return Draft(rollout, enrolled(rollout.id, spec, 0, [node.id for node in nodes]), nodes)


def created(tx: Transaction, draft: Draft, by: str, now: datetime, *, start: bool, queue: bool) -> Decision:
    """The draft as it is stored: with `start` it begins as soon as it may.

    Raises:
        Conflict: another rollout has nodes of it, and `queue` is not given.
    """
    rollout, members = draft.rollout, {member.node: member for member in draft.members}
    written = Event(now, "order", f"{by}: create", {"order": "create", "by": by, "nodes": len(members)})
    if not start:
        return Decision(rollout, draft.members, (written,))
    begun = order(rollout, members, Order.START, by, now)
    if not queue:
        _check_free(tx, begun.rollout, draft)
    return replace(begun, members=draft.members, events=(written, *begun.events))


def _check_is_move(before: Applied, wanted: Applied, spec: RolloutSpec) -> None:
    if wanted.digest == before.digest:
        raise Conflict(f"deployment {spec.deployment!r} has {spec.to} already: there is nothing to move")
    if wanted.spec.selector != before.spec.selector:
        raise Conflict(
            f"deployment {spec.deployment!r}: another version and another selector at once: apply the selector with "
            "the old version first, or both at once with --now"
        )


def _check_nobody_moves(tx: Transaction, deployment: str) -> None:
    other = active_of(tx, deployment)
    if other is not None:
        raise under_way(other, at_once=False)


def active_of(tx: Transaction, deployment: str) -> Rollout | None:
    """The rollout of a deployment that has not ended."""
    return next((one for one in tx.rollouts.active() if one.spec.deployment == deployment), None)


def under_way(rollout: Rollout, *, at_once: bool = True) -> Refused:
    """What to say where somebody wants to change a deployment that is being moved; `at_once`: `--now` does it."""
    ways = (f"wait for it (edgectl rollout watch {rollout.id})", f"end it (edgectl rollout abort {rollout.id})")
    how = f"{', '.join(ways)}, or give --now" if at_once else ", or ".join(ways)
    return Refused(
        f"deployment {rollout.spec.deployment!r} is being moved by rollout {rollout.id} ({rollout.state}): {how}"
    )


def _check_free(tx: Transaction, rollout: Rollout, draft: Draft) -> None:
    running = ((one, tx.rollouts.members(one.id)) for one in tx.rollouts.active())
    taken = others_of(replace(rollout, state=State.QUEUED), running)
    names = {node.id: node.full_name for node in draft.nodes}
    first = next((node for node in taken if node in names), None)
    if first is not None:
        raise Conflict(f"rollout {taken[first]} has nodes of it, {names[first]} for one: wait for it, or let it queue")


def _applied(tx: Transaction, spec: RolloutSpec) -> Applied:
    applied = tx.deployments.get(spec.deployment)
    if applied is None:
        raise NotFound(f"no deployment {spec.deployment!r}: see edgectl deployment list")
    return applied
