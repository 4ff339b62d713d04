"""The JSON of rollouts that `--json` prints: its keys are documented in docs/reference/edgectl.md."""

import json

from coordinator.cli.documents import Document
from protos.fleet.v1 import rollout_pb2 as pb


def rollout_document_of(rollout: pb.Rollout) -> Document:
    """A rollout."""
    return {
        "id": rollout.id,
        "deployment": rollout.deployment,
        "before": rollout.before,
        "after": rollout.after,
        "state": rollout.state,
        "since": rollout.since,
        "reason": rollout.reason,
        "ended": rollout.ended,
        "wave": rollout.wave,
        "attempt": rollout.attempt,
        "created_at": rollout.created_at,
        "created_by": rollout.created_by,
        "approved_by": rollout.approved_by or None,
        "spec": json.loads(rollout.spec_json),
        "orders": list(rollout.orders),
        "measures": {
            name: {"value": one.value, "samples": one.samples} for name, one in sorted(rollout.measures.items())
        },
        "waves": [_wave(number, wave) for number, wave in enumerate(rollout.waves)],
        "members": [_member(member) for member in rollout.members],
        "events": [_event(event) for event in rollout.events],
    }


def plan_document(plan: pb.PlanRolloutReply) -> Document:
    """What a rollout would do."""
    return {
        "deployment": plan.deployment,
        "before": plan.before,
        "after": plan.after,
        "nodes": [_planned(node) for node in plan.nodes],
        "warnings": list(plan.warnings),
    }


def _wave(number: int, wave: pb.RolloutWave) -> Document:
    stages = {stage: wave.stages[stage] for stage in sorted(wave.stages)}
    return {"wave": number, "nodes": wave.nodes, "stages": stages, "gates": [_gate(gate) for gate in wave.gates]}


def _gate(gate: pb.RolloutGate) -> Document:
    return {
        "gate": gate.gate,
        "slice": gate.slice,
        "verdict": gate.verdict,
        "value": gate.value if gate.HasField("value") else None,
        "bound": gate.bound,
        "samples": gate.samples,
        "needed": gate.needed,
    }


def _member(member: pb.RolloutMember) -> Document:
    return {
        "id": member.node_id,
        "name": member.name,
        "site": member.site,
        "wave": member.wave,
        "stage": member.stage,
        "since": member.since or None,
        "reason": member.reason,
        "attempt": member.attempt,
    }


def _event(event: pb.RolloutEvent) -> Document:
    return {"at": event.at, "kind": event.kind, "text": event.text, "detail": json.loads(event.detail_json)}


def _planned(node: pb.PlannedNode) -> Document:
    return {
        "id": node.node_id,
        "name": node.name,
        "site": node.site,
        "wave": node.wave,
        "online": node.online,
        "fits": node.fits,
        "reason": node.reason,
        "variant": node.variant or None,
        "engine": node.engine or None,
        "p95_ms": node.p95_ms if node.HasField("p95_ms") else None,
        "proofs": node.proofs,
        "fetch_bytes": node.fetch_bytes,
        "window": node.window or None,
    }
