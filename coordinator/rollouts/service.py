"""Rollouts as people see and order them. What they do by themselves is `rounds.py`."""

import threading
from collections.abc import Callable, Collection
from datetime import datetime

from coordinator.audit.acting import about
from coordinator.errors import NotFound, Refused
from coordinator.fleet.admitted import admitted_nodes
from coordinator.fleet.fitting import check_egress, check_variant
from coordinator.rollouts.creating import after_of, created, drafted
from coordinator.rollouts.draft import Draft
from coordinator.rollouts.enacting import Store, Transaction, enact
from coordinator.rollouts.labelled import Truths, no_truths, truths_of
from coordinator.rollouts.measuring import measured
from coordinator.rollouts.orders import order
from coordinator.rollouts.planning import Plan, planned
from coordinator.rollouts.records import Decision, Measure, Rollout
from coordinator.rollouts.showing import RolloutDetails, first_members, named, waves_of
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import Order, State
from coordinator.rollouts.viewing import SeenNodes, views_of
from protos.bundle import Manifest
from protos.deployment import Deployment, model_version
from protos.identity import NodeId
from protos.oci import BundleFile
from protos.topics import Topics

BRIEF = 30, 60
"""Members and newest events of a rollout that was just changed: `show` has all."""


class RolloutService:
    """Every method may be called from any thread.

    Args:
        store: where rollouts are kept.
        topics: the broker's.
        now: the clock.
        on_changed: called with nodes whose documents changed, or none, when a rollout may have something to do.
        manifest_of: the `model.toml` of a model's version that may be deployed.
        truths: the labelled answers of a model's version since a time.
    """

    def __init__(
        self,
        store: Store,
        topics: Topics,
        now: Callable[[], datetime],
        on_changed: Callable[[Collection[NodeId]], None],
        manifest_of: Callable[[str, int], Manifest],
        truths: Truths = no_truths,
    ) -> None:
        self._truths = truths
        self._store = store
        self._topics = topics
        self._now = now
        self._on_changed = on_changed
        self._manifest_of = manifest_of
        self._seen, self._lock = SeenNodes(), threading.Lock()

    def create(
        self,
        spec: RolloutSpec,
        by: str,
        *,
        start: bool = True,
        queue: bool = True,
        after: Deployment | None = None,
    ) -> RolloutDetails:
        """A new rollout. `after` is the deployment as it will be, where more than its version changes.

        Raises:
            NotFound: there is no such deployment, or no such model version.
            Conflict, Refused: what `drafted` and `created` say, or the version does not fit the deployment.
        """
        manifest = self._manifest_of(*model_version(spec.to))
        with self._store.write() as tx:
            wanted = after or after_of(tx, spec)
            check_variant(wanted, manifest)
            check_egress(wanted, manifest)
            draft = drafted(tx, spec, wanted, by, self._now())
            decision = created(tx, draft, by, self._now(), start=start, queue=queue)
            _store_new(tx, decision)
            about(draft.rollout.id if after is None else spec.deployment, rollout=draft.rollout.id, after=spec.to)
            details = self._details(tx, decision.rollout, *BRIEF)
        self._on_changed(())
        return details

    def plan(self, spec: RolloutSpec) -> Plan:
        """What the rollout would do on each node; nothing changes.

        Raises:
            NotFound: there is no such deployment, or no such model version.
            Conflict, Refused: it could not be created.
        """
        manifest = self._manifest_of(*model_version(spec.to))
        with self._store.read() as tx:
            wanted = after_of(tx, spec)
            check_variant(wanted, manifest)
            check_egress(wanted, manifest)
            draft = drafted(tx, spec, wanted, "", self._now())
            return self._planned(tx, draft, manifest)

    def list(self, deployment: str = "") -> tuple[RolloutDetails, ...]:
        """All rollouts, or those of a deployment, the newest first; members, waves and events are left out."""
        with self._store.read() as tx:
            found = tx.rollouts.all()
        return tuple(RolloutDetails(one) for one in found if deployment in ("", one.spec.deployment))

    def show(self, reference: str, members: int = 0, events: int = 0) -> RolloutDetails:
        """One rollout, by its id or its deployment; so many members and newest events, 0: all.

        Raises:
            NotFound: there is none.
        """
        with self._store.read() as tx:
            return self._details(tx, found_rollout(tx, reference), members, events)

    def order(self, reference: str, what: Order, by: str, *, may_approve: bool) -> RolloutDetails:
        """Order something of a rollout.

        Raises:
            NotFound: there is none.
            Conflict: its state does not allow that.
            Refused: it waits for approval, which `by` may not give.
        """
        with self._store.write() as tx:
            rollout, now = found_rollout(tx, reference), self._now()
            if rollout.state is State.AWAITING_APPROVAL and what is Order.PROMOTE and not may_approve:
                raise Refused(f"rollout {rollout.id} waits for approval: {by} may not give it, it needs the role admin")
            about(rollout.id)
            members = {member.node: member for member in tx.rollouts.members(rollout.id)}
            changed, details = self._enacted(tx, rollout, order(rollout, members, what, by, now), now)
        self._on_changed(changed)
        return details

    def measure(self, reference: str, name: str, measure: Measure, by: str) -> RolloutDetails:
        """Take a number that somebody outside measured of the new version.

        Raises:
            NotFound: there is no such rollout.
            Conflict: it has ended.
            BadInput: the name is one that nodes measure, or the number is none.
        """
        with self._store.write() as tx:
            rollout, now = found_rollout(tx, reference), self._now()
            about(rollout.id)
            _, details = self._enacted(tx, rollout, measured(rollout, name, measure, by, now), now)
        self._on_changed(())
        return details

    def _enacted(
        self, tx: Transaction, rollout: Rollout, decision: Decision, now: datetime
    ) -> tuple[tuple[NodeId, ...], RolloutDetails]:
        changed = enact(tx, rollout, decision, admitted_nodes(tx), self._topics, now)
        return changed, self._details(tx, decision.rollout, *BRIEF)

    def _details(self, tx: Transaction, rollout: Rollout, limit: int, events: int) -> RolloutDetails:
        with self._lock:
            nodes = self._seen.read(tx)
        members = [member for member in tx.rollouts.members(rollout.id) if member.node in nodes]
        truths = truths_of(rollout, self._truths)
        views = views_of((nodes[member.node] for member in members), rollout.spec.deployment, truths)
        told = [named(event, nodes) for event in tx.rollouts.events(rollout.id)]
        return RolloutDetails(
            rollout,
            waves_of(rollout, members, views),
            tuple((member, nodes[member.node]) for member in first_members(members, limit)),
            tuple(told[-events:] if events else told),
            len(told),
        )

    def _planned(self, tx: Transaction, draft: Draft, manifest: Manifest) -> Plan:
        before = _files(tx, draft.rollout.before.model)
        after = _files(tx, draft.rollout.after.model)
        return planned(draft, manifest, before, after, admitted_nodes(tx), self._now())


def found_rollout(tx: Transaction, reference: str) -> Rollout:
    """The rollout of this id, or the newest of the deployment of this name.

    Raises:
        NotFound: there is none.
    """
    rollout = tx.rollouts.get(reference) or tx.rollouts.newest_of(reference)
    if rollout is None:
        raise NotFound(f"no rollout {reference!r}, and none of a deployment of that name: see edgectl rollout list")
    return rollout


def _files(tx: Transaction, model: str) -> tuple[BundleFile, ...]:
    version = tx.versions.get(*model_version(model))
    return () if version is None else version.files


def _store_new(tx: Transaction, decision: Decision) -> None:
    tx.rollouts.put(decision.rollout)
    tx.rollouts.put_members(decision.rollout.id, decision.members)
    tx.rollouts.add_events(decision.rollout.id, decision.events)
