"""RolloutService: rollouts, created, planned, watched and ordered."""

import asyncio
from functools import partial

from coordinator.api.access import may_approve
from coordinator.api.caller import caller, caller_name
from coordinator.api.errors import Context
from coordinator.api.rollout_convert import order_from_wire, plan_to_wire, rollout_spec_from_wire, rollout_to_wire
from coordinator.rollouts.records import Measure
from coordinator.rollouts.service import RolloutService as Rollouts
from protos.fleet.v1 import rollout_pb2 as pb
from protos.fleet.v1.rollout_pb2_grpc import RolloutServiceServicer


class RolloutService(RolloutServiceServicer):
    """Converts, asks the rollouts, converts."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    async def CreateRollout(self, request: pb.CreateRolloutRequest, context: Context) -> pb.Rollout:
        """A new rollout."""
        spec, by = rollout_spec_from_wire(request.spec_json), caller_name()
        create = partial(self._rollouts.create, start=not request.draft, queue=not request.no_queue)
        return rollout_to_wire(await asyncio.to_thread(create, spec, by))

    async def PlanRollout(self, request: pb.PlanRolloutRequest, context: Context) -> pb.PlanRolloutReply:
        """What it would do."""
        spec = rollout_spec_from_wire(request.spec_json)
        return plan_to_wire(await asyncio.to_thread(self._rollouts.plan, spec))

    async def ListRollouts(self, request: pb.ListRolloutsRequest, context: Context) -> pb.ListRolloutsReply:
        """All, or those of a deployment."""
        found = await asyncio.to_thread(self._rollouts.list, request.deployment)
        return pb.ListRolloutsReply(rollouts=[rollout_to_wire(details) for details in found])

    async def GetRollout(self, request: pb.GetRolloutRequest, context: Context) -> pb.Rollout:
        """One, with its members and events."""
        show = self._rollouts.show
        return rollout_to_wire(await asyncio.to_thread(show, request.rollout, request.members, request.events))

    async def OrderRollout(self, request: pb.OrderRolloutRequest, context: Context) -> pb.Rollout:
        """Order something of one."""
        order = partial(self._rollouts.order, may_approve=may_approve(caller.get()))
        what = order_from_wire(request.order)
        return rollout_to_wire(await asyncio.to_thread(order, request.rollout, what, caller_name()))

    async def MeasureRollout(self, request: pb.MeasureRolloutRequest, context: Context) -> pb.Rollout:
        """Take a number from outside."""
        measure = Measure(request.value, request.samples)
        taken = await asyncio.to_thread(self._rollouts.measure, request.rollout, request.name, measure, caller_name())
        return rollout_to_wire(taken)
