"""`edgectl model`: push, list, show, verify, delete."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from coordinator.cli import authoring, signing
from coordinator.cli.bundle_folder import LocalBundle, check_evaluated, read_bundle
from coordinator.cli.client import LONG_CALL_S, call, connect
from coordinator.cli.documents import version_document
from coordinator.cli.options import AsJson
from coordinator.cli.output import age_text, plain, print_fields, print_json, print_table, size_text
from coordinator.cli.publisher import Keys, publisher_keys
from coordinator.cli.push import Moved, push, send_release, sign
from coordinator.cli.references import exact_reference, model_reference
from coordinator.cli.signing import read_release_of
from coordinator.errors import Exit
from protos.digest import checked_digest, short
from protos.fleet.v1.model_pb2 import GetVersionRequest, ListModelsRequest
from protos.fleet.v1.model_pb2_grpc import ModelServiceStub

app = typer.Typer(help="Models and their versions.", no_args_is_help=True, rich_markup_mode=None)
authoring.mount(app)
signing.mount(app)

Reference = Annotated[str, typer.Argument(metavar="MODEL[@VERSION]", help="without @VERSION: the newest")]


@app.command("push")
def push_bundle(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
    key: Keys = None,
    release: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Signed beforehand with edgectl model sign, in place of --key.")
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="R", help="Only if its evaluation shows it: accuracy>=0.9, p95_ms<=50.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Push a bundle, make it the next version of its model, and sign that it is."""
    bundle = read_bundle(folder)
    check_evaluated(bundle, require or ())
    if release is not None:
        sealed, number = read_release_of(release, bundle)
        signing = partial(send_release, release=sealed)
    else:
        number, signing = 0, partial(sign, keys=publisher_keys(key))
    with connect() as channel, _progress(bundle, quiet=as_json) as on_moved:
        reply = push(channel, bundle, on_moved, number)
        version = signing(channel, reply.version)
    if as_json:
        print_json({**version_document(version), "created": reply.created})
        return
    what = f"{version.model} version {version.version}"
    print(f"{what} · {version.digest}" if reply.created else f"nothing new: this content already is {what}")
    print(version.unreleased or f"signed by {', '.join(version.signed_by)}")
    if reply.created:
        print(f"next: model: {version.model}@{version.version} in a YAML file, edgectl deployment apply FILE")


@app.command("list")
def list_models(model: Annotated[str, typer.Argument(help="only this one")] = "", as_json: AsJson = False) -> None:
    """All versions of all models, or of one."""
    with connect() as channel:
        versions = call(_stub(channel).ListModels, ListModelsRequest(model=model)).versions
    if as_json:
        print_json([version_document(version) for version in versions])
        return
    rows = (
        (
            v.model,
            v.version,
            v.task,
            size_text(v.size),
            short(checked_digest(v.digest)),
            age_text(v.created_at),
            ", ".join(v.signed_by) + (" (not released)" if v.unreleased else ""),
            ", ".join(v.used_by),
        )
        for v in versions
    )
    print_table(
        ("MODEL", "VERSION", "TASK", "SIZE", "DIGEST", "AGE", "SIGNED BY", "USED BY"),
        rows,
        "no models yet: edgectl model push FOLDER",
    )


@app.command("show")
def show_model(reference: Reference, as_json: AsJson = False) -> None:
    """One version: its files and its model.toml."""
    with connect() as channel:
        version = call(_stub(channel).GetVersion, _wanted(reference))
    if as_json:
        print_json({**version_document(version), "model_toml": version.model_toml})
        return
    print_fields(
        (
            ("model", f"{version.model}@{version.version}"),
            ("digest", version.digest),
            ("task", version.task),
            ("size", size_text(version.size)),
            ("created", version.created_at),
            ("signed by", ", ".join(version.signed_by) or "nobody"),
            *((("released", version.unreleased),) if version.unreleased else ()),
            ("used by", ", ".join(version.used_by) or "no deployment"),
        )
    )
    print()
    print_table(("FILE", "SIZE", "DIGEST"), ((f.path, size_text(f.size), f.digest) for f in version.files), "no files")
    print(f"\n{plain(version.model_toml.rstrip())}")


@app.command("verify")
def verify_model(reference: Reference, as_json: AsJson = False) -> None:
    """Read every file of a version again and compare its digest."""
    with connect() as channel:
        version = call(_stub(channel).GetVersion, _wanted(reference))
        wanted = GetVersionRequest(model=version.model, version=version.version)
        reply = call(_stub(channel).VerifyVersion, wanted, LONG_CALL_S)
    if as_json:
        print_json({"intact": reply.intact, "problems": list(reply.problems)})
    elif reply.intact:
        print(f"{version.model}@{version.version}: intact, {len(version.files)} files")
    for problem in () if as_json else reply.problems:
        print(f"{version.model}@{version.version}: {problem}", file=sys.stderr)
    if not reply.intact:
        raise typer.Exit(Exit.FAILED)


@app.command("delete")
def delete_model(reference: Annotated[str, typer.Argument(metavar="MODEL@VERSION")], as_json: AsJson = False) -> None:
    """Delete a version that no deployment uses."""
    model, number = exact_reference(reference)
    wanted = GetVersionRequest(model=model, version=number)
    with connect() as channel:
        freed = call(_stub(channel).DeleteVersion, wanted).freed
    if as_json:
        print_json({"model": wanted.model, "version": wanted.version, "freed": freed})
    else:
        print(f"{reference} is deleted; {size_text(freed)} freed")


def _stub(channel: object) -> ModelServiceStub:
    return ModelServiceStub(channel)  # type: ignore[no-untyped-call]


def _wanted(reference: str) -> GetVersionRequest:
    model, number = model_reference(reference)
    return GetVersionRequest(model=model, version=number)


@contextmanager
def _progress(bundle: LocalBundle, *, quiet: bool) -> Iterator[Moved]:
    """A bar over all bytes of the bundle, on standard error, in a terminal only."""
    stderr = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    moved: dict[str, int] = {}
    sizes = {file.entry.digest: file.entry.size for file in bundle.files}
    with Progress(*columns, console=stderr, disable=quiet or not stderr.is_terminal) as bar:
        task = bar.add_task(f"push {bundle.model}", total=sum(sizes.values()))

        def on_moved(path: str, count: int) -> None:
            moved[path] = count
            bar.update(task, completed=sum(moved.values()))

        yield on_moved
