"""`edgectl node`: list, show, rename, delete, revoke, replace. Join tokens are in tokens.py."""

from typing import Annotated, Any

import typer

from coordinator.cli import commanding, tokens
from coordinator.cli.client import call, connect
from coordinator.cli.documents import Document, node_document
from coordinator.cli.options import AsJson
from coordinator.cli.output import age_text, plain, print_fields, print_json, print_table, size_text
from protos.fleet.v1.access_pb2 import ReplaceNodeRequest, RevokeNodeRequest
from protos.fleet.v1.access_pb2_grpc import AccessServiceStub
from protos.fleet.v1.node_pb2 import DeleteNodeRequest, GetNodeRequest, ListNodesRequest, RenameNodeRequest
from protos.fleet.v1.node_pb2_grpc import NodeServiceStub

app = typer.Typer(help="Nodes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tokens.app, name="token")
commanding.mount(app)

Reference = Annotated[str, typer.Argument(metavar="NODE", help="id, SITE/NAME, or NAME where only one site has it")]
Selector = Annotated[str, typer.Option("--selector", "-l", help="Label selector, for example site=store-12,!test.")]


@app.command("list")
def list_nodes(selector: Selector = "", as_json: AsJson = False) -> None:
    """All nodes, or those that a label selector matches."""
    with connect() as channel:
        nodes = call(_stub(channel).ListNodes, ListNodesRequest(selector=selector)).nodes
    documents = [node_document(node) for node in nodes]
    if as_json:
        print_json(documents)
        return
    none = "no node matches" if selector else "no nodes yet: edgectl node token create --site SITE"
    print_table(
        ("SITE", "NAME", "PRESENCE", "SEEN", "REVISION", "RUNNING", "LABELS"), (_row(node) for node in documents), none
    )


@app.command("show")
def show_node(node: Reference, as_json: AsJson = False) -> None:
    """One node: facts, labels, and what it reports."""
    with connect() as channel:
        document = node_document(call(_stub(channel).GetNode, GetNodeRequest(node=node)))
    if as_json:
        print_json(document)
        return
    print_fields(
        (
            ("node", f"{document['site']}/{document['name']}"),
            ("id", document["id"]),
            ("presence", document["presence"]),
            ("last seen", document["last_seen"] or "never"),
            ("registered", document["registered_at"]),
            ("labels", _labels(document)),
            ("revision", _revision(document)),
            ("certificate", _certificate(document)),
            ("traffic", _traffic(document)),
            *((key.replace("_", " "), fact_text(value)) for key, value in document["facts"].items()),
        )
    )
    reported = document["reported"] or {}
    if reported.get("refusal"):
        print(f"\nit refused the newest document: {plain(reported['refusal'])}")
    print()
    rows = [_deployment_row(deployment) for deployment in reported.get("deployments", ())]
    print_table(("DEPLOYMENT", "MODEL", "PHASE", "ENGINE", "PROOF", "REASON"), rows, "it reports no deployments")


@app.command("rename")
def rename_node(
    node: Reference,
    name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    site: Annotated[str, typer.Option(help="Move it to this site too.")] = "",
    as_json: AsJson = False,
) -> None:
    """Call a node otherwise; its id and its results stay."""
    with connect() as channel:
        document = node_document(call(_stub(channel).RenameNode, RenameNodeRequest(node=node, name=name, site=site)))
    if as_json:
        print_json(document)
    else:
        print(f"{node} is now {document['site']}/{document['name']}")


@app.command("delete")
def delete_node(
    node: Reference,
    force: Annotated[bool, typer.Option("--force", help="Also while it is online.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a node and clear its retained messages; its results stay."""
    with connect() as channel:
        reply = call(_stub(channel).DeleteNode, DeleteNodeRequest(node=node, force=force))
    if as_json:
        print_json({"id": reply.node_id, "cleared_topics": reply.cleared_topics})
    else:
        print(f"{node} is deleted ({reply.node_id}); {reply.cleared_topics} retained topics are cleared")
        print("its identity is revoked: to bring the device back, enroll it anew (edgectl node token create)")


@app.command("revoke")
def revoke_node(
    node: Reference,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Shut a node out for good, for example one that was stolen; its results so far stay."""
    with connect() as channel:
        reply = call(_access(channel).RevokeNode, RevokeNodeRequest(node=node, reason=reason))
    if as_json:
        print_json({"id": reply.node_id})
    else:
        print(f"{node} is revoked ({reply.node_id}): its connections end within a minute, nothing of it is taken")


@app.command("replace")
def replace_node(node: Reference, ttl: tokens.Ttl = "10m", as_json: AsJson = False) -> None:
    """Shut a node out, and make a token for the hardware that takes its place: site, name, labels."""
    with connect() as channel:
        reply = call(_access(channel).ReplaceNode, ReplaceNodeRequest(node=node, ttl_s=tokens.seconds(ttl)))
    tokens.print_token(reply, as_json)


def _access(channel: object) -> AccessServiceStub:
    return AccessServiceStub(channel)  # type: ignore[no-untyped-call]


def _stub(channel: object) -> NodeServiceStub:
    return NodeServiceStub(channel)  # type: ignore[no-untyped-call]


def _row(node: Document) -> tuple[object, ...]:
    return (
        node["site"],
        node["name"],
        _presence(node),
        age_text(node["last_seen"] or ""),
        _revision(node),
        ", ".join(_running(node)) or "-",
        _labels(node),
    )


def _running(node: Document) -> list[str]:
    deployments = (node["reported"] or {}).get("deployments", ())
    return [f"{one['model']}@{one['serving_version']}" for one in deployments if one.get("serving_version")]


def _revision(node: Document) -> str:
    """Reported and desired, one number where they agree."""
    desired, reported = node["desired_revision"], node["reported_revision"]
    return str(desired) if desired == reported else f"{reported} of {desired}"


def _presence(node: Document) -> str:
    return "revoked" if node["revoked_at"] else str(node["presence"])


def _certificate(node: Document) -> str:
    if node["revoked_at"]:
        return f"revoked at {node['revoked_at']}"
    ends = node["certificate_not_after"]
    return f"until {ends}" if ends else "unknown: issued before this database was restored"


def _traffic(node: Document) -> str:
    """Bytes in and out since the node is known, and what that saved."""
    traffic = node["traffic"]
    if traffic is None:
        return "not told yet"
    text = f"{size_text(traffic['bytes_in'])} in from sources, {size_text(traffic['bytes_out'])} out"
    if traffic["saved"] is None:
        return text
    return f"{text}: {int(traffic['saved'] * 10_000) / 100:.2f} % stayed on the device"


def _labels(node: Document) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(node["labels"].items())) or "-"


def fact_text(value: Any) -> str:
    """A fact in one line; `-` where there is nothing to say."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "-"
    return (", ".join(map(str, value)) or "-") if isinstance(value, list) else str(value)


def _deployment_row(deployment: Document) -> tuple[object, ...]:
    proof = deployment.get("proof") or {}
    return (
        deployment["name"],
        f"{deployment['model']}@{deployment['version']}",
        deployment["phase"],
        " ".join(filter(None, (deployment.get("engine"), deployment.get("accelerator")))) or "-",
        proof.get("status", "-"),
        deployment.get("reason", ""),
    )
