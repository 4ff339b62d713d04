"""`edgectl trust`: the trust root, shown and rotated. Signatures are collected in a file, then pushed.

edgectl trust update --add-publisher alice.key.pub --threshold 2 -o root.json
edgectl trust sign root.json --key publisher.key        # whoever has a key, wherever they are
edgectl trust sign root.json --key alice.key
edgectl trust push root.json
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import grpc
import msgspec
import typer

from coordinator.cli.client import call, connect
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_fields, print_json, print_table
from coordinator.cli.publisher import Keys, publisher_keys, read_envelope, write_envelope
from coordinator.errors import BadInput, NotFound, WrongUsage
from coordinator.trust.next_root import Changes, missing_signatures, next_root
from coordinator.trust.signing_keys import read_public
from protos.digest import digest_of, short
from protos.envelope import TRUST_ROOT, cosigned, key_id, seal, unverified
from protos.errors import ContractError
from protos.fleet.v1.trust_pb2 import GetTrustRequest, PushRootRequest, Trust
from protos.fleet.v1.trust_pb2_grpc import TrustServiceStub
from protos.trust import Signer, TrustRoot, encode_root, newest, read_root

app = typer.Typer(help="Whose signatures count.", no_args_is_help=True, rich_markup_mode=None)

LIFETIME_DAYS = 3 * 365
Files = Annotated[list[Path] | None, typer.Option(metavar="FILE.pub")]


@app.command("show")
def show_trust(as_json: AsJson = False) -> None:
    """The trust root in force: publishers, threshold, the coordinator's keys, authorities, expiry."""
    with connect() as channel:
        trust = call(_stub(channel).GetTrust, GetTrustRequest())
    root = newest(tuple(trust.roots))
    if root is None:
        if not trust.unsigned_root:
            raise NotFound("this coordinator has no trust root: run edge-coordinator init on its folder again")
        root = _read(trust.unsigned_root)
    held_by = {str(number): trust.held_by[number] for number in sorted(trust.held_by, reverse=True)}
    if as_json:
        print_json({**msgspec.to_builtins(root), "signed": bool(trust.roots), "held_by": held_by})
        return
    _print(root, signed=bool(trust.roots))
    print(f"\nnodes: {_holders(held_by)}")


@app.command("update")
def update_trust(
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="Where the next root goes, to be signed.")],
    add_publisher: Files = None,
    remove_publisher: Annotated[list[str] | None, typer.Option(metavar="NAME")] = None,
    threshold: Annotated[int, typer.Option(min=0, help="So many publishers must sign; 0: as before.")] = 0,
    add_coordinator: Files = None,
    remove_coordinator: Annotated[list[str] | None, typer.Option(metavar="NAME")] = None,
    add_authority: Annotated[list[Path] | None, typer.Option(metavar="FILE.pem")] = None,
    remove_authority: Annotated[list[str] | None, typer.Option(metavar="DIGEST")] = None,
    days: Annotated[int, typer.Option(min=1, max=36500, help="How long it is valid.")] = LIFETIME_DAYS,
) -> None:
    """Write the next root: the one in force with these changes. Nothing changes before it is signed and pushed."""
    changes = Changes(
        add_publishers=_signers(add_publisher),
        remove_publishers=tuple(remove_publisher or ()),
        threshold=threshold,
        add_coordinators=_signers(add_coordinator),
        remove_coordinators=tuple(remove_coordinator or ()),
        add_authorities=tuple(_pem(file) for file in add_authority or ()),
        remove_authorities=tuple(remove_authority or ()),
    )
    with connect() as channel:
        held = newest(tuple(call(_stub(channel).GetTrust, GetTrustRequest()).roots))
    if held is None:
        raise NotFound("there is no trust root in force yet: sign the first one with edgectl trust sign")
    now = datetime.now(UTC)
    root = next_root(held, changes, now, now + timedelta(days=days))
    unsigned = seal(TRUST_ROOT, encode_root(root))
    write_envelope(output, unsigned)
    _print(root, signed=False)
    missing = "; ".join(missing_signatures(unsigned, root, held))
    print(f"\nnext: edgectl trust sign {output} --key FILE; it needs {missing}")


@app.command("sign")
def sign_trust(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="without: the first root")] = None,
    key: Keys = None,
) -> None:
    """Add a signature to a root in a file; without a file sign the coordinator's first root and push it."""
    keys = publisher_keys(key)
    if file is not None:
        sealed = read_envelope(file)
        _read(sealed)
        for one in keys:
            sealed = cosigned(sealed, TRUST_ROOT, one)
        write_envelope(file, sealed)
        print(f"{file} is signed; when enough have: edgectl trust push {file}")
        return
    with connect() as channel:
        sealed = call(_stub(channel).GetTrust, GetTrustRequest()).unsigned_root
        if not sealed:
            raise WrongUsage("the first trust root is signed already: name the file of the next one")
        for one in keys:
            sealed = cosigned(sealed, TRUST_ROOT, one)
        _push(channel, sealed)


@app.command("push")
def push_trust(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Put a signed root in force; every node follows it by itself."""
    sealed = read_envelope(file).strip()
    root = _read(sealed)
    with connect() as channel:
        held = newest(tuple(call(_stub(channel).GetTrust, GetTrustRequest()).roots))
        if missing := missing_signatures(sealed, root, held):
            raise BadInput(f"{file} still needs: {'; '.join(missing)}: edgectl trust sign {file} --key FILE")
        _push(channel, sealed)


def _push(channel: grpc.Channel, sealed: bytes) -> None:
    trust: Trust = call(_stub(channel).PushRoot, PushRootRequest(root=sealed))
    root = newest(tuple(trust.roots))
    assert root is not None  # it was just pushed
    print(f"trust root {root.version} is in force")


def _stub(channel: object) -> TrustServiceStub:
    return TrustServiceStub(channel)  # type: ignore[no-untyped-call]


def _read(sealed: bytes) -> TrustRoot:
    try:
        return read_root(unverified(sealed, TRUST_ROOT))
    except ContractError as error:
        raise BadInput(str(error)) from None


def _signers(files: list[Path] | None) -> tuple[Signer, ...]:
    return tuple(read_public(file) for file in files or ())


def _pem(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from None


def _holders(held_by: dict[str, int]) -> str:
    said = (
        f"{nodes} hold root {number}" if number != "0" else f"{nodes} did not say" for number, nodes in held_by.items()
    )
    return ", ".join(said) or "none"


def _print(root: TrustRoot, *, signed: bool) -> None:
    fields: list[tuple[str, Any]] = [
        ("trust root", f"{root.version}{'' if signed else ' (not signed yet)'}"),
        ("threshold", f"{root.threshold} of {len(root.publishers)} publishers"),
        ("expires", root.expires.isoformat(timespec="seconds")),
        ("authorities", ", ".join(short(digest_of(pem.encode())) for pem in root.authorities) or "none"),
    ]
    print_fields(fields)
    print()
    rows = [("publisher", one.name, key_id(one.key)) for one in root.publishers]
    rows += [("coordinator", one.name, key_id(one.key)) for one in root.coordinators]
    print_table(("ROLE", "NAME", "KEY"), rows, "nobody")
