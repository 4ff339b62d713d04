"""DeploymentService: deployments, declaratively."""

import asyncio

from coordinator.api.convert import application_to_wire, deployment_to_wire, spec_from_wire
from coordinator.api.errors import Context
from coordinator.fleet.deployments import DeploymentService as Deployments
from protos.fleet.v1 import deployment_pb2 as pb
from protos.fleet.v1.deployment_pb2_grpc import DeploymentServiceServicer


class DeploymentService(DeploymentServiceServicer):
    """Converts, asks the fleet, converts."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    async def ApplyDeployment(self, request: pb.ApplyDeploymentRequest, context: Context) -> pb.ApplyDeploymentReply:
        """Apply, or tell what would change."""
        spec = spec_from_wire(request.spec_json)
        application = await asyncio.to_thread(self._deployments.apply, spec, dry_run=request.dry_run)
        return application_to_wire(application)

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Context) -> pb.ListDeploymentsReply:
        """All deployments."""
        found = await asyncio.to_thread(self._deployments.list)
        return pb.ListDeploymentsReply(deployments=[deployment_to_wire(details) for details in found])

    async def GetDeployment(self, request: pb.GetDeploymentRequest, context: Context) -> pb.Deployment:
        """One deployment."""
        return deployment_to_wire(await asyncio.to_thread(self._deployments.show, request.name))

    async def DeleteDeployment(self, request: pb.DeleteDeploymentRequest, context: Context) -> pb.DeleteDeploymentReply:
        """Delete a deployment."""
        return pb.DeleteDeploymentReply(nodes=await asyncio.to_thread(self._deployments.delete, request.name))
