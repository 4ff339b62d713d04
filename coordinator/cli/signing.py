"""`edgectl model sign` and `permit-downgrade`: what only a publisher can say. Keys stay on this machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from coordinator.cli.bundle_folder import LocalBundle, read_bundle
from coordinator.cli.client import call, connect
from coordinator.cli.documents import version_document
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json
from coordinator.cli.publisher import (
    Keys,
    expiry,
    publisher_keys,
    read_envelope,
    read_release,
    released,
    write_envelope,
)
from coordinator.cli.push import sign
from coordinator.cli.references import exact_reference
from coordinator.errors import BadInput, WrongUsage
from protos.digest import checked_digest, digest_of, short
from protos.envelope import DOWNGRADE, seal
from protos.errors import ContractError
from protos.fleet.v1.model_pb2 import GetVersionRequest, PermitDowngradeRequest
from protos.fleet.v1.model_pb2_grpc import ModelServiceStub
from protos.release import Downgrade, encode, read_downgrade

PERMIT_DAYS = 30


def mount(app: typer.Typer) -> None:
    """Add the commands to `edgectl model`."""
    app.command("sign")(sign_model)
    app.command("permit-downgrade")(permit_downgrade)


def sign_model(
    what: Annotated[str, typer.Argument(metavar="MODEL@N|FOLDER", help="a version that is pushed, or a bundle")],
    key: Keys = None,
    version: Annotated[int, typer.Option(min=0, help="Offline: the number that the bundle will have.")] = 0,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Offline: where the release goes.")] = None,
    days: Annotated[int, typer.Option(min=0, max=36500, help="How long it may be adopted; 0: for ever.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Sign that a bundle is a version of its model; with --version and -o without asking a coordinator."""
    if version or output is not None:
        _sign_offline(Path(what), key, version, output, days)
        return
    model, number = exact_reference(what)
    keys = publisher_keys(key)
    with connect() as channel:
        stub = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        found = call(stub.GetVersion, GetVersionRequest(model=model, version=number))
        signed = sign(channel, found, keys, days)
    if as_json:
        print_json(version_document(signed))
    else:
        print(signed.unreleased or f"{what} is released: signed by {', '.join(signed.signed_by)}")


def permit_downgrade(
    reference: Annotated[str, typer.Argument(metavar="MODEL@N", help="the version to go back to")],
    below: Annotated[int, typer.Option(min=2, help="Nodes that have proven at most this version may go back.")],
    key: Keys = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long the permit counts.")] = PERMIT_DAYS,
    as_json: AsJson = False,
) -> None:
    """Let nodes that have proven a newer version go back to this one."""
    model, number = exact_reference(reference)
    keys = publisher_keys(key)
    with connect() as channel:
        stub = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        found = call(stub.GetVersion, GetVersionRequest(model=model, version=number))
        now = datetime.now(UTC)
        ends = now + timedelta(days=days)
        permit = Downgrade(model, number, checked_digest(found.digest), below, now, ends)
        sealed = seal(DOWNGRADE, _checked(permit), *keys)
        call(stub.PermitDowngrade, PermitDowngradeRequest(permit=sealed))
    if as_json:
        print_json({"model": model, "version": number, "below": below, "expires": ends.isoformat()})
    else:
        print(f"nodes at {model}@{below} and below may go back to version {number} for {days} days")


def read_release_of(file: Path, bundle: LocalBundle) -> tuple[bytes, int]:
    """A signed release of a bundle in a file: the envelope, and the number of the version.

    Raises:
        BadInput: it is none, or of another bundle.
    """
    sealed, release = read_release(file)
    digest = digest_of(bundle.manifest)
    if (release.model, release.digest) != (bundle.model, digest):
        raise BadInput(
            f"{file} is a release of {release.model} with bundle {short(release.digest)}, this is {bundle.model} with "
            f"{short(digest)}: a file has changed since it was signed"
        )
    return sealed, release.version


def _sign_offline(folder: Path, key: list[Path] | None, version: int, output: Path | None, days: int) -> None:
    if not version or output is None:
        raise WrongUsage("offline it takes both: --version N and -o FILE")
    bundle, keys, now = read_bundle(folder), publisher_keys(key), datetime.now(UTC)
    held = read_envelope(output) if output.exists() else b""
    if held:
        read_release_of(output, bundle)
    wanted = (bundle.model, version, digest_of(bundle.manifest))
    write_envelope(output, released(held, wanted, keys, now, expiry(days, now)))
    print(
        f"{output}: {bundle.model}@{version} is bundle {short(wanted[2])}; "
        f"next: edgectl model push {folder} --release {output}"
    )


def _checked(permit: Downgrade) -> bytes:
    payload = encode(permit)
    try:
        read_downgrade(payload)
    except ContractError as error:
        raise WrongUsage(str(error)) from None
    return payload
