"""Our types and protobuf's, nowhere else."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from coordinator.errors import BadInput
from coordinator.fleet.deployments import Application, DeploymentDetails, Outcome
from coordinator.fleet.nodes import NodeDetails, Registration
from coordinator.fleet.presence import Presence
from coordinator.fleet.traffic import Traffic, saved
from coordinator.registry.records import Version
from coordinator.registry.released import Standing
from protos.deployment import Deployment, parse_deployment
from protos.fleet.v1 import deployment_pb2, model_pb2, node_pb2
from protos.identity import NodeId
from protos.moments import rfc3339
from protos.reported import Facts
from protos.topics import MAX_PAYLOAD

_OUTCOMES = {
    Outcome.CREATED: deployment_pb2.ApplyDeploymentReply.OUTCOME_CREATED,
    Outcome.CHANGED: deployment_pb2.ApplyDeploymentReply.OUTCOME_CHANGED,
    Outcome.UNCHANGED: deployment_pb2.ApplyDeploymentReply.OUTCOME_UNCHANGED,
    Outcome.ROLLOUT: deployment_pb2.ApplyDeploymentReply.OUTCOME_ROLLOUT,
}


def version_to_wire(
    version: Version, standing: Standing, used_by: Iterable[str] = (), model_toml: str = ""
) -> model_pb2.ModelVersion:
    """A model version."""
    return model_pb2.ModelVersion(
        model=version.model,
        version=version.version,
        digest=version.digest,
        task=version.task,
        size=version.size,
        created_at=rfc3339(version.created_at),
        files=[model_pb2.BundleFile(path=file.path, digest=file.digest, size=file.size) for file in version.files],
        model_toml=model_toml,
        used_by=used_by,
        release=standing.release or b"",
        signed_by=standing.signed_by,
        unreleased=standing.unreleased,
    )


def registration_from_wire(request: node_pb2.RegisterNodeRequest, node: NodeId) -> Registration:
    """What a node says of itself; who it is says its certificate.

    Raises:
        BadInput: its facts are none.
    """
    return Registration(node, request.name, request.site, dict(request.labels), facts_from_wire(request.facts_json))


def facts_from_wire(facts_json: str) -> Facts:
    """Facts of a device.

    Raises:
        BadInput: they are none.
    """
    if len(facts_json) > MAX_PAYLOAD:
        raise BadInput(f"facts_json has {len(facts_json)} characters; at most {MAX_PAYLOAD} are taken")
    try:
        return msgspec.json.decode(facts_json or "{}", type=Facts)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadInput(f"facts_json: {error}") from None


def node_to_wire(details: NodeDetails, now: datetime) -> node_pb2.Node:
    """A node. One that is online is seen now: the broker hears it, also while it has nothing to report."""
    node, issued = details.node, details.issued
    seen = now if node.connection.presence is Presence.ONLINE else node.last_seen
    return node_pb2.Node(
        node_id=node.id,
        name=node.name,
        site=node.site,
        labels=dict(node.labels),
        presence=node.connection.presence,
        last_seen=rfc3339(seen) if seen else "",
        desired_epoch=issued.epoch if issued else 0,
        desired_revision=issued.revision if issued else 0,
        reported_revision=node.reported.revision if node.reported else 0,
        reported_json=msgspec.json.encode(node.reported).decode() if node.reported else "",
        facts_json=msgspec.json.encode(node.facts).decode(),
        registered_at=rfc3339(node.registered_at),
        certificate_not_after=rfc3339(details.certificate_ends) if details.certificate_ends else "",
        revoked_at=rfc3339(details.revoked_at) if details.revoked_at else "",
        traffic=None if details.traffic is None else _traffic_to_wire(details.traffic),
    )


def _traffic_to_wire(traffic: Traffic) -> node_pb2.Traffic:
    total = traffic.total
    return node_pb2.Traffic(
        bytes_in=total.taken_in, bytes_out=total.left, by_kind=total.out, saved=saved(total), at=rfc3339(traffic.at)
    )


def spec_from_wire(spec_json: str) -> Deployment:
    """A deployment's specification.

    Raises:
        BadInput: not JSON.
        ContractError: not a deployment.
    """
    try:
        document = msgspec.json.decode(spec_json)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadInput(f"the deployment is not JSON: {error}") from None
    return parse_deployment(document, "deployment")


def application_to_wire(application: Application) -> deployment_pb2.ApplyDeploymentReply:
    """What applying a deployment did or would do."""
    return deployment_pb2.ApplyDeploymentReply(
        outcome=_OUTCOMES[application.outcome],
        diff=application.diff,
        nodes=application.nodes,
        matched=application.matched,
        warnings=application.warnings,
        rollout=application.rollout,
        strategy=application.strategy,
    )


def deployment_to_wire(details: DeploymentDetails) -> deployment_pb2.Deployment:
    """A deployment and its nodes."""
    applied = details.applied
    nodes = (
        deployment_pb2.DeploymentNode(
            node_id=progress.node.id,
            name=progress.node.name,
            site=progress.node.site,
            phase=progress.phase,
            reason=progress.reason,
            serving_version=progress.serving_version,
        )
        for progress in details.nodes
    )
    return deployment_pb2.Deployment(
        name=applied.spec.name,
        spec_json=msgspec.json.encode(applied.spec).decode(),
        created_at=rfc3339(applied.created_at),
        updated_at=rfc3339(applied.updated_at),
        nodes=nodes,
    )
