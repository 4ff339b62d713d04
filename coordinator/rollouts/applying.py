"""Applying and deleting deployments where rollouts move them.

Where a node runs a deployment, another version of its model goes out as a rollout; everything else changes at once, as
does the first version. While a rollout moves a deployment nobody else changes it. At once (`--now`) means both anyway.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from coordinator.audit.acting import about
from coordinator.errors import NearfieldError
from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.deployments import Application, DeploymentService, Outcome, Permits
from coordinator.fleet.desired import selected
from coordinator.fleet.explain import diff_of, downgrade_warning, warnings_for
from coordinator.fleet.records import Applied, Node
from coordinator.rollouts.creating import active_of, drafted, under_way
from coordinator.rollouts.durations import duration
from coordinator.rollouts.enacting import Store, Transaction, enact
from coordinator.rollouts.records import Decision, Event, Rollout
from coordinator.rollouts.service import RolloutService
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import State
from protos.deployment import Deployment
from protos.identity import NodeId
from protos.topics import Topics


class _Moves(NearfieldError):
    """The change is another version where nodes run one: raised inside the transaction that would have made it."""


class DeploymentChanges:
    """Every method may be called from any thread."""

    def __init__(
        self,
        deployments: DeploymentService,
        rollouts: RolloutService,
        store: Store,
        topics: Topics,
        now: Callable[[], datetime],
    ) -> None:
        self._deployments = deployments
        self._rollouts = rollouts
        self._store = store
        self._topics = topics
        self._now = now

    def apply(self, spec: Deployment, by: str, *, dry_run: bool, at_once: bool = False) -> Application:
        """Make the deployment what the specification says, at once or by a rollout.

        Raises:
            Refused: a rollout moves it already, somewhere else.
            NearfieldError: as `DeploymentService.apply` and `RolloutService.create` say.
        """
        permits = self._giving_up(by, dry_run=dry_run) if at_once else _only_what_is_no_move(spec)
        try:
            return self._deployments.apply(spec, dry_run=dry_run, permits=permits)
        except _Moves:
            return self._moved(spec, by, dry_run=dry_run)

    def delete(self, name: str, by: str, *, at_once: bool = False) -> tuple[str, ...]:
        """Delete a deployment; the full names of the nodes that stop running it.

        Raises:
            NotFound: there is none of that name.
            Refused: a rollout moves it.
        """
        permits = self._giving_up(by, dry_run=False) if at_once else _only_where_nobody_moves(name)
        return self._deployments.delete(name, permits=permits)

    def _moved(self, spec: Deployment, by: str, *, dry_run: bool) -> Application:
        strategy = default_strategy(spec)
        with self._store.read() as tx:
            rollout, applied, nodes = active_of(tx, spec.name), tx.deployments.get(spec.name), admitted_nodes(tx)
            if rollout is None and dry_run:
                drafted(tx, strategy, spec, by, self._now())
        if rollout is not None:
            about(spec.name, rollout=rollout.id)
        elif not dry_run:
            rollout = self._rollouts.create(strategy, by, after=spec).rollout
        matched = () if applied is None else selected(applied, nodes)
        return Application(
            outcome=Outcome.ROLLOUT,
            diff=diff_of(applied.spec if applied else None, spec),
            nodes=(),
            matched=tuple(node.full_name for node in matched),
            warnings=(*warnings_for(spec, matched), *downgrade_warning(applied.spec if applied else None, spec)),
            rollout="" if rollout is None else rollout.id,
            strategy=strategy_text(strategy if rollout is None else rollout.spec),
        )

    def _giving_up(self, by: str, *, dry_run: bool) -> Permits:
        def permits(tx: Transaction, before: Applied | None) -> tuple[NodeId, ...]:
            rollout = None if before is None or dry_run else active_of(tx, before.spec.name)
            if rollout is None:
                return ()
            about(rollout.spec.deployment, aborted=rollout.id)
            now = self._now()
            return enact(tx, rollout, given_up(rollout, by, now), admitted_nodes(tx), self._topics, now)

        return permits


def default_strategy(spec: Deployment) -> RolloutSpec:
    """The rollout of a deployment whose author names none: one node first, then a quarter, then all."""
    return RolloutSpec(spec.name, spec.model, canary="1", waves=("25%", "100%"), auto_promote=True, auto_revert=True)


def strategy_text(spec: RolloutSpec) -> str:
    """How a rollout goes, in one line."""
    first = f"canary {spec.canary}, then " if spec.canary else ""
    steps = f"{first}{', '.join(spec.waves)}; {spec.max_parallel} at once"
    healthy = f"each healthy for {duration(spec.min_healthy_s)}"
    promotes = "goes on by itself" if spec.auto_promote else "each wave waits for promote"
    reverts = "goes back by itself" if spec.auto_revert else "a failure waits for a person"
    return f"{steps}; {healthy}; {promotes}; {reverts}"


def is_move(before: Applied | None, after: Deployment, nodes: Iterable[Node]) -> bool:
    """Whether applying `after` changes the version of a deployment that a node runs."""
    if before is None or before.spec.model == after.model:
        return False
    return any(_serves(node, before.spec.name) for node in selected(before, nodes))


def given_up(rollout: Rollout, by: str, now: datetime) -> Decision:
    """The rollout when its deployment is changed without it: it ends where it is, whatever its state."""
    reason = f"{by} changed the deployment with --now"
    told = Event(now, "state", f"{State.ABORTED}: {reason}", {"state": str(State.ABORTED), "by": by})
    return Decision(replace(rollout, state=State.ABORTED, since=now, reason=reason), events=(told,))


def _only_what_is_no_move(spec: Deployment) -> Permits:
    def permits(tx: Transaction, before: Applied | None) -> tuple[NodeId, ...]:
        rollout = active_of(tx, spec.name)
        if before is not None and before.spec == spec:
            return ()
        if rollout is not None and rollout.after == spec:
            raise _Moves
        if rollout is not None:
            raise under_way(rollout)
        if is_move(before, spec, admitted_nodes(tx)):
            raise _Moves
        return ()

    return permits


def _only_where_nobody_moves(name: str) -> Permits:
    def permits(tx: Transaction, _: Applied | None) -> tuple[NodeId, ...]:
        rollout = active_of(tx, name)
        if rollout is not None:
            raise under_way(rollout)
        return ()

    return permits


def _serves(node: Node, deployment: str) -> bool:
    entries = node.reported.deployments if node.reported else ()
    return any(one.name == deployment and one.serving_version is not None for one in entries)
