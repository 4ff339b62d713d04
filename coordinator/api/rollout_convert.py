"""Rollouts: our types and protobuf's."""

from datetime import datetime
from typing import Any

import msgspec

from coordinator.errors import BadInput
from coordinator.fleet.records import Node
from coordinator.rollouts.gates import Verdict
from coordinator.rollouts.planning import Plan, PlannedNode
from coordinator.rollouts.records import Event, Member
from coordinator.rollouts.showing import RolloutDetails, Wave
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.spec_file import document_of, parse_spec
from coordinator.rollouts.states import ENDED, Order
from protos.fleet.v1 import rollout_pb2 as pb
from protos.moments import rfc3339


def rollout_spec_from_wire(spec_json: str) -> RolloutSpec:
    """A rollout's specification.

    Raises:
        BadInput: not JSON, or no specification.
    """
    try:
        document = msgspec.json.decode(spec_json)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadInput(f"the rollout is not JSON: {error}") from None
    return parse_spec(document, "rollout")


def order_from_wire(text: str) -> Order:
    """An order.

    Raises:
        BadInput: there is none of that name.
    """
    try:
        return Order(text)
    except ValueError:
        raise BadInput(f"{text!r} is not an order: write one of {', '.join(Order)}") from None


def rollout_to_wire(details: RolloutDetails) -> pb.Rollout:
    """A rollout and all that is told of it."""
    rollout = details.rollout
    measures = {name: pb.RolloutMeasure(value=one.value, samples=one.samples) for name, one in rollout.measures.items()}
    return pb.Rollout(
        id=rollout.id,
        deployment=rollout.spec.deployment,
        before=rollout.before.model,
        after=rollout.after.model,
        state=rollout.state,
        since=rfc3339(rollout.since),
        reason=rollout.reason,
        ended=rollout.state in ENDED,
        wave=rollout.wave,
        attempt=rollout.attempt,
        created_at=rfc3339(rollout.created_at),
        created_by=rollout.created_by,
        approved_by=rollout.approved_by,
        spec_json=_json(document_of(rollout.spec)),
        orders=details.orders,
        waves=[_wave(wave) for wave in details.waves],
        members=[_member(member, node) for member, node in details.members],
        events=[_event(event) for event in details.events],
        measures=measures,
        event_count=details.event_count,
    )


def plan_to_wire(plan: Plan) -> pb.PlanRolloutReply:
    """What a rollout would do."""
    rollout = plan.rollout
    return pb.PlanRolloutReply(
        deployment=rollout.spec.deployment,
        before=rollout.before.model,
        after=rollout.after.model,
        nodes=[_planned(node) for node in plan.nodes],
        warnings=plan.warnings,
    )


def _wave(wave: Wave) -> pb.RolloutWave:
    stages = {str(stage): count for stage, count in wave.stages.items()}
    return pb.RolloutWave(nodes=wave.nodes, stages=stages, gates=[_gate(verdict) for verdict in wave.verdicts])


def _gate(verdict: Verdict) -> pb.RolloutGate:
    return pb.RolloutGate(
        gate=verdict.gate,
        slice=verdict.slice,
        verdict=verdict.outcome,
        value=verdict.value,
        bound=verdict.bound,
        samples=verdict.samples,
        needed=verdict.needed,
    )


def _member(member: Member, node: Node) -> pb.RolloutMember:
    return pb.RolloutMember(
        node_id=member.node,
        name=node.name,
        site=node.site,
        wave=member.wave,
        stage=member.stage,
        since=_moment(member.since),
        reason=member.reason,
        attempt=member.attempt,
    )


def _event(event: Event) -> pb.RolloutEvent:
    return pb.RolloutEvent(at=rfc3339(event.at), kind=event.kind, text=event.text, detail_json=_json(event.detail))


def _planned(planned: PlannedNode) -> pb.PlannedNode:
    node = planned.node
    return pb.PlannedNode(
        node_id=node.id,
        name=node.name,
        site=node.site,
        wave=planned.wave,
        fits=not planned.reason,
        reason=planned.reason,
        variant=planned.variant,
        engine=planned.engine,
        p95_ms=planned.p95_ms,
        proofs=planned.proofs,
        fetch_bytes=planned.fetch_bytes,
        window=planned.window,
        online=planned.online,
    )


def _moment(at: datetime | None) -> str:
    return "" if at is None else rfc3339(at)


def _json(document: Any) -> str:
    return msgspec.json.encode(document).decode()
