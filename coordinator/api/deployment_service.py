"""DeploymentService: deployments, declaratively."""

import asyncio

from coordinator.api.caller import caller_name
from coordinator.api.convert import application_to_wire, deployment_to_wire, spec_from_wire
from coordinator.api.errors import Context
from coordinator.fleet.deployments import DeploymentService as Deployments
from coordinator.rollouts.applying import DeploymentChanges
from protos.fleet.v1 import deployment_pb2 as pb
from protos.fleet.v1.deployment_pb2_grpc import DeploymentServiceServicer


class DeploymentService(DeploymentServiceServicer):
    """Converts, asks the fleet, converts."""

    def __init__(self, deployments: Deployments, changes: DeploymentChanges) -> None:
        self._deployments = deployments
        self._changes = changes

    async def ApplyDeployment(self, request: pb.ApplyDeploymentRequest, context: Context) -> pb.ApplyDeploymentReply:
        """Apply, by a rollout where nodes run another version, or tell what would change."""
        return await self._applied(request, at_once=False)

    async def ApplyDeploymentNow(self, request: pb.ApplyDeploymentRequest, context: Context) -> pb.ApplyDeploymentReply:
        """Apply on all nodes at once, or tell what would change."""
        return await self._applied(request, at_once=True)

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Context) -> pb.ListDeploymentsReply:
        """All deployments."""
        found = await asyncio.to_thread(self._deployments.list)
        return pb.ListDeploymentsReply(deployments=[deployment_to_wire(details) for details in found])

    async def GetDeployment(self, request: pb.GetDeploymentRequest, context: Context) -> pb.Deployment:
        """One deployment."""
        return deployment_to_wire(await asyncio.to_thread(self._deployments.show, request.name))

    async def DeleteDeployment(self, request: pb.DeleteDeploymentRequest, context: Context) -> pb.DeleteDeploymentReply:
        """Delete a deployment."""
        return await self._deleted(request, at_once=False)

    async def DeleteDeploymentNow(
        self, request: pb.DeleteDeploymentRequest, context: Context
    ) -> pb.DeleteDeploymentReply:
        """Delete a deployment that a rollout moves."""
        return await self._deleted(request, at_once=True)

    async def _applied(self, request: pb.ApplyDeploymentRequest, *, at_once: bool) -> pb.ApplyDeploymentReply:
        spec = spec_from_wire(request.spec_json)
        apply = self._changes.apply
        return application_to_wire(
            await asyncio.to_thread(apply, spec, caller_name(), dry_run=request.dry_run, at_once=at_once)
        )

    async def _deleted(self, request: pb.DeleteDeploymentRequest, *, at_once: bool) -> pb.DeleteDeploymentReply:
        delete = self._changes.delete
        return pb.DeleteDeploymentReply(
            nodes=await asyncio.to_thread(delete, request.name, caller_name(), at_once=at_once)
        )
