"""`edgectl deployment`: apply, list, show, delete."""

import json
from pathlib import Path
from typing import Annotated

import typer

from coordinator.cli.client import call, connect
from coordinator.cli.deployment_file import read_deployment_file
from coordinator.cli.documents import Document, application_document, deployment_document
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_diff, print_fields, print_json, print_table, warn
from protos.fleet.v1.deployment_pb2 import (
    ApplyDeploymentRequest,
    DeleteDeploymentRequest,
    GetDeploymentRequest,
    ListDeploymentsRequest,
)
from protos.fleet.v1.deployment_pb2_grpc import DeploymentServiceStub
from protos.fleet.v1.rollout_pb2 import ListRolloutsRequest
from protos.fleet.v1.rollout_pb2_grpc import RolloutServiceStub

app = typer.Typer(help="Deployments: which nodes run which model version.", no_args_is_help=True, rich_markup_mode=None)


@app.command("apply")
def apply_deployment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML; - for standard input")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    now: Annotated[bool, typer.Option("--now", help="On all nodes at once, without a rollout (admins).")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a deployment what a YAML file says; where nodes run it, another version goes out as a rollout."""
    spec = read_deployment_file(file)
    with connect() as channel:
        request = ApplyDeploymentRequest(spec_json=json.dumps(spec), dry_run=dry_run)
        stub = _stub(channel)
        reply = call(stub.ApplyDeploymentNow if now else stub.ApplyDeployment, request)
    document = application_document(str(spec["name"]), dry_run, reply)
    if as_json:
        print_json(document)
    else:
        _print_application(document)


@app.command("list")
def list_deployments(as_json: AsJson = False) -> None:
    """All deployments."""
    with connect() as channel:
        found = call(_stub(channel).ListDeployments, ListDeploymentsRequest()).deployments
    documents = [deployment_document(deployment) for deployment in found]
    if as_json:
        print_json(documents)
        return
    columns = ("NAME", "MODEL", "SELECTOR", "NODES", "RUNNING", "FAILED")
    print_table(
        columns, (_row(document) for document in documents), "no deployments yet: edgectl deployment apply FILE"
    )


@app.command("show")
def show_deployment(name: str, as_json: AsJson = False) -> None:
    """One deployment, and how far each of its nodes has come."""
    with connect() as channel:
        document = deployment_document(call(_stub(channel).GetDeployment, GetDeploymentRequest(name=name)))
        moved = "" if as_json else _moved(channel, name)
    if as_json:
        print_json(document)
        return
    spec = document["spec"]
    pipelines = ", ".join(f"{pipeline['name']} ← {pipeline['source']}" for pipeline in spec.get("pipelines", ()))
    print_fields(
        (
            ("deployment", document["name"]),
            ("model", spec["model"]),
            ("selector", spec["selector"] or "every node"),
            ("pipelines", pipelines or "none"),
            ("serving", _serving(spec.get("serving"))),
            *((("rollout", moved),) if moved else ()),
            ("updated", document["updated_at"]),
        )
    )
    print()
    rows = (
        (f"{node['site']}/{node['name']}", node["phase"], node["serving_version"] or "-", node["reason"])
        for node in document["nodes"]
    )
    print_table(("NODE", "PHASE", "SERVES", "REASON"), rows, "no node matches the selector")


@app.command("delete")
def delete_deployment(
    name: str,
    now: Annotated[bool, typer.Option("--now", help="Also while a rollout moves it (admins).")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a deployment; its nodes stop running it."""
    with connect() as channel:
        stub = _stub(channel)
        reply = call(stub.DeleteDeploymentNow if now else stub.DeleteDeployment, DeleteDeploymentRequest(name=name))
        nodes = list(reply.nodes)
    if as_json:
        print_json({"name": name, "nodes": nodes})
    else:
        print(f"deployment {name} is deleted; {_count(nodes)} will stop running it")


def _stub(channel: object) -> DeploymentServiceStub:
    return DeploymentServiceStub(channel)  # type: ignore[no-untyped-call]


def _moved(channel: object, name: str) -> str:
    """The rollout that moves a deployment, in one line; empty where none does."""
    stub = RolloutServiceStub(channel)  # type: ignore[no-untyped-call]
    rollouts = call(stub.ListRollouts, ListRolloutsRequest(deployment=name)).rollouts
    active = (f"{one.id} to {one.after}: {one.state}" for one in rollouts if not one.ended)
    return next(active, "")


def _print_application(document: Document) -> None:
    print_diff(document["diff"])
    outcome, nodes = document["outcome"], document["nodes"]
    if outcome == "rollout":
        _print_rollout(document)
    else:
        verb = f"would be {outcome}" if document["dry_run"] and outcome != "unchanged" else outcome
        changing = f"; {_count(nodes)} concerned: {', '.join(nodes)}" if nodes else ""
        print(f"deployment {document['name']}: {verb}{changing}")
    warn(document["warnings"])


def _print_rollout(document: Document) -> None:
    rollout = document["rollout"]
    verb = f"rollout {rollout} moves it there" if rollout else "a rollout would move it there"
    print(f"deployment {document['name']}: {verb}: {document['strategy']}")
    if rollout:
        print(f"next: edgectl rollout watch {rollout}")


def _count(nodes: list[str]) -> str:
    return f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"


def _serving(settings: Document | None) -> str:
    if settings is None or not settings.get("enabled", True):
        return "no clients"
    said = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "enabled")
    return f"clients of its nodes{': ' if said else ''}{said}"


def _row(document: Document) -> tuple[object, ...]:
    spec, phases = document["spec"], [node["phase"] for node in document["nodes"]]
    running, failed = phases.count("running"), phases.count("failed")
    return document["name"], spec["model"], spec["selector"] or "every node", len(phases), running, failed
