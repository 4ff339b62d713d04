"""The JSON that `--json` prints: its keys are documented in docs/reference/edgectl.md and tested as contract."""

import json
from typing import Any

from protos.fleet.v1 import deployment_pb2, model_pb2, node_pb2, system_pb2

Document = dict[str, Any]

OUTCOMES = {
    deployment_pb2.ApplyDeploymentReply.OUTCOME_CREATED: "created",
    deployment_pb2.ApplyDeploymentReply.OUTCOME_CHANGED: "changed",
    deployment_pb2.ApplyDeploymentReply.OUTCOME_UNCHANGED: "unchanged",
    deployment_pb2.ApplyDeploymentReply.OUTCOME_ROLLOUT: "rollout",
}


def version_document(version: model_pb2.ModelVersion) -> Document:
    """A model version."""
    return {
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        "task": version.task,
        "size": version.size,
        "created_at": version.created_at,
        "signed_by": list(version.signed_by),
        "unreleased": version.unreleased or None,
        "used_by": list(version.used_by),
        "files": [{"path": file.path, "digest": file.digest, "size": file.size} for file in version.files],
    }


def node_document(node: node_pb2.Node) -> Document:
    """A node."""
    return {
        "id": node.node_id,
        "name": node.name,
        "site": node.site,
        "labels": dict(node.labels),
        "presence": node.presence,
        "last_seen": node.last_seen or None,
        "registered_at": node.registered_at,
        "certificate_not_after": node.certificate_not_after or None,
        "revoked_at": node.revoked_at or None,
        "desired_epoch": node.desired_epoch,
        "desired_revision": node.desired_revision,
        "reported_revision": node.reported_revision,
        "reported": json.loads(node.reported_json) if node.reported_json else None,
        "facts": json.loads(node.facts_json),
        "traffic": _traffic(node.traffic) if node.HasField("traffic") else None,
    }


def _traffic(traffic: node_pb2.Traffic) -> Document:
    return {
        "bytes_in": traffic.bytes_in,
        "bytes_out": traffic.bytes_out,
        "by_kind": dict(sorted(traffic.by_kind.items())),
        "saved": traffic.saved if traffic.HasField("saved") else None,
        "at": traffic.at,
    }


def deployment_document(deployment: deployment_pb2.Deployment) -> Document:
    """A deployment and its nodes."""
    return {
        "name": deployment.name,
        "spec": json.loads(deployment.spec_json),
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
        "nodes": [
            {
                "id": node.node_id,
                "name": node.name,
                "site": node.site,
                "phase": node.phase,
                "reason": node.reason,
                "serving_version": node.serving_version or None,
            }
            for node in deployment.nodes
        ],
    }


def application_document(name: str, dry_run: bool, reply: deployment_pb2.ApplyDeploymentReply) -> Document:
    """What applying a deployment did or would do."""
    return {
        "name": name,
        "dry_run": dry_run,
        "outcome": OUTCOMES[reply.outcome],
        "diff": reply.diff,
        "nodes": list(reply.nodes),
        "matched": list(reply.matched),
        "warnings": list(reply.warnings),
        "rollout": reply.rollout or None,
        "strategy": reply.strategy or None,
    }


def status_document(status: system_pb2.SystemStatus) -> Document:
    """The coordinator at a glance."""
    return {
        "version": status.version,
        "broker_url": status.broker_url,
        "broker_kind": status.broker_kind,
        "broker_connected": status.broker_connected,
        "broker_state": status.broker_state,
        "topic_prefix": status.topic_prefix,
        "epoch": status.epoch,
        "nodes": status.nodes,
        "nodes_online": status.nodes_online,
        "deployments": status.deployments,
        "results": status.results,
        "live_relayed": status.live_relayed,
        "live_dropped": status.live_dropped,
        "started_at": status.started_at,
    }
