"""`edgectl node logs` and `edgectl node diagnostics`: signed commands to a node that is online."""

from typing import Annotated

import typer

from coordinator.cli.client import call, connect
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json
from protos.command import MAX_LINES, Verb
from protos.fleet.v1.node_pb2 import CommandNodeReply, CommandNodeRequest
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub

Reference = Annotated[str, typer.Argument(metavar="NODE", help="id, SITE/NAME, or NAME where only one site has it")]


def mount(app: typer.Typer) -> None:
    """Add the commands to `edgectl node`."""
    app.command("logs")(node_logs)
    app.command("diagnostics")(node_diagnostics)


def node_logs(
    node: Reference,
    lines: Annotated[int, typer.Option(min=1, max=MAX_LINES, help="How many of the newest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """The newest lines of a node's log."""
    _show(_told(node, Verb.LOGS, lines=str(lines)), as_json)


def node_diagnostics(node: Reference, as_json: AsJson = False) -> None:
    """What a node does now: all that `edge-node status` says on the device."""
    _show(_told(node, Verb.DIAGNOSTICS), as_json)


def _told(node: str, verb: Verb, **arguments: str) -> CommandNodeReply:
    with connect() as channel:
        stub = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
        reply: CommandNodeReply = call(stub.CommandNode, CommandNodeRequest(node=node, verb=verb, arguments=arguments))
    return reply


def _show(reply: CommandNodeReply, as_json: bool) -> None:
    if as_json:
        print_json({"id": reply.node_id, "lines": reply.text.splitlines()})
    else:
        print(reply.text)
