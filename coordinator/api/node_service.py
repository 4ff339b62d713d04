"""NodeService: what nodes say of themselves, and their administration."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from coordinator.api.caller import caller_name, calling_node
from coordinator.api.convert import node_to_wire, registration_from_wire
from coordinator.api.errors import Context
from coordinator.api.facts import CoordinatorFacts
from coordinator.fleet.commands import Commands
from coordinator.fleet.nodes import NodeService as Nodes
from protos.fleet.v1 import node_pb2 as pb
from protos.fleet.v1.node_pb2_grpc import NodeServiceServicer


class NodeService(NodeServiceServicer):
    """Converts, asks the fleet, converts."""

    def __init__(
        self,
        nodes: Nodes,
        facts: CoordinatorFacts,
        now: Callable[[], datetime],
        on_revoked: Callable[[str], None],
        trust_roots: Callable[[], tuple[bytes, ...]],
        commands: Commands,
    ) -> None:
        self._nodes = nodes
        self._facts = facts
        self._now = now
        self._on_revoked = on_revoked
        self._trust_roots = trust_roots
        self._commands = commands

    async def RegisterNode(self, request: pb.RegisterNodeRequest, context: Context) -> pb.RegisterNodeReply:
        """Take in what the calling node says of itself; where the broker is."""
        registration = registration_from_wire(request, calling_node())
        node = await asyncio.to_thread(self._nodes.register, registration)
        return pb.RegisterNodeReply(
            node_id=node.id,
            broker_url=self._facts.broker_url,
            topic_prefix=self._facts.topic_prefix,
            trusted_keys=self._facts.trusted_keys,
            name=node.name,
            site=node.site,
            trust_roots=await asyncio.to_thread(self._trust_roots),
        )

    async def ListNodes(self, request: pb.ListNodesRequest, context: Context) -> pb.ListNodesReply:
        """The nodes that a selector matches."""
        found = await asyncio.to_thread(self._nodes.list, request.selector)
        return pb.ListNodesReply(nodes=[node_to_wire(details, self._now()) for details in found])

    async def GetNode(self, request: pb.GetNodeRequest, context: Context) -> pb.Node:
        """One node."""
        return node_to_wire(await asyncio.to_thread(self._nodes.show, request.node), self._now())

    async def RenameNode(self, request: pb.RenameNodeRequest, context: Context) -> pb.Node:
        """Call a node otherwise."""
        details = await asyncio.to_thread(self._nodes.rename, request.node, request.name, request.site)
        return node_to_wire(details, self._now())

    async def DeleteNode(self, request: pb.DeleteNodeRequest, context: Context) -> pb.DeleteNodeReply:
        """Forget a node."""
        delete = self._nodes.delete
        node, cleared = await asyncio.to_thread(delete, request.node, force=request.force, by=caller_name())
        self._on_revoked(node)
        return pb.DeleteNodeReply(node_id=node, cleared_topics=cleared)

    async def CommandNode(self, request: pb.CommandNodeRequest, context: Context) -> pb.CommandNodeReply:
        """Have a node that is online do something."""
        node, lines = await self._commands.run(request.node, request.verb, dict(request.arguments))
        return pb.CommandNodeReply(node_id=node, text="\n".join(lines))
