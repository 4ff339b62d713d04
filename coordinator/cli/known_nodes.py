"""A filter that no node fits is most likely a typo: one line says so, and what is nearest."""

import difflib
import sys
from collections.abc import Collection, Iterable

import grpc
from grpc import StatusCode

from coordinator.cli.client import call
from protos.fleet.v1.node_pb2 import ListNodesRequest, Node
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub
from protos.fleet.v1.result_pb2 import ResultFilter


def hint_at_typos(channel: grpc.Channel, wanted: ResultFilter) -> None:
    """Say on standard error that no node is called that. No error: results of nodes that were deleted stay."""
    if not (wanted.node or wanted.site):
        return
    stub = NodeServiceStub(channel)  # type: ignore[no-untyped-call]
    try:
        nodes = call(stub.ListNodes, ListNodesRequest()).nodes
    except grpc.RpcError as error:
        if error.code() is StatusCode.UNIMPLEMENTED:  # results alone are served there
            return
        raise
    if hint := hint_for(wanted, nodes):
        print(f"edgectl: {hint}", file=sys.stderr, flush=True)


def hint_for(wanted: ResultFilter, nodes: Iterable[Node]) -> str:
    """What about the filter fits no node; empty where one fits."""
    known = tuple(nodes)
    at_site = [node for node in known if wanted.site in ("", node.site)]
    if not at_site:
        return f"no node at a site {wanted.site!r}{_nearest(wanted.site, {node.site for node in known})}"
    if not wanted.node or any(wanted.node in (node.name, node.node_id) for node in at_site):
        return ""
    place = f" at {wanted.site}" if wanted.site else ""
    return f"no node named {wanted.node!r}{place}{_nearest(wanted.node, {node.name for node in at_site})}"


def _nearest(word: str, known: Collection[str]) -> str:
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ": see edgectl node list"
