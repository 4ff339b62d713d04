"""`edgectl node token`: create, list, delete; and the line that a device is given."""

import csv
import io
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from coordinator.cli.client import call, connect
from coordinator.cli.options import AsJson
from coordinator.cli.output import age_text, print_json, print_table
from coordinator.cli.secret_file import write_secret
from coordinator.errors import WrongUsage
from protos.fleet.v1.access_pb2 import (
    CreateJoinTokensReply,
    CreateJoinTokensRequest,
    DeleteJoinTokenRequest,
    JoinToken,
    ListJoinTokensRequest,
)
from protos.fleet.v1.access_pb2_grpc import AccessServiceStub

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

app = typer.Typer(help="Join tokens: one line for a device.", no_args_is_help=True, rich_markup_mode=None)

Ttl = Annotated[str, typer.Option(metavar="TIME", help="How long it works, for example 30m, 12h, 3d.")]


@app.command("create")
def create_tokens(
    site: Annotated[str, typer.Option(help="The site that the node will belong to.")],
    name: Annotated[str, typer.Option(help="What the node will be called; without it the device says.")] = "",
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; may be repeated.")] = None,
    ttl: Ttl = "10m",
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many, for provisioning; needs -o.")] = 1,
    output: Annotated[
        Path | None, typer.Option("-o", metavar="FILE", help="Write a .csv or .json file, mode 0600.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A token that turns one device into a node of a site. It is shown once."""
    if count > 1 and output is None:
        raise WrongUsage(f"{count} tokens need a file: -o tokens.csv or -o tokens.json")
    if output is not None and output.suffix not in (".csv", ".json"):
        raise WrongUsage(f"{output}: write a file that ends in .csv or .json")
    request = CreateJoinTokensRequest(
        site=site, name=name, labels=labels_of(label or ()), ttl_s=seconds(ttl), count=count
    )
    with connect() as channel:
        reply = call(_stub(channel).CreateJoinTokens, request)
    if output is not None:
        write_secret(output, provisioning(reply, site, name, output.suffix))
        print(f"{len(reply.tokens)} join tokens for site {site} in {output}, until {reply.expires_at}")
    else:
        print_token(reply, as_json)


@app.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """All tokens, without their secrets: those are kept nowhere."""
    with connect() as channel:
        tokens = call(_stub(channel).ListJoinTokens, ListJoinTokensRequest()).tokens
    documents = [_document(token) for token in tokens]
    if as_json:
        print_json(documents)
        return
    rows = (
        (
            token.id,
            token.site,
            token.name or "-",
            state_text(token.node_id, token.expires_at),
            age_text(token.created_at),
            token.created_by,
        )
        for token in tokens
    )
    print_table(("TOKEN", "SITE", "NAME", "STATE", "AGE", "BY"), rows, "no tokens: edgectl node token create --site S")


@app.command("delete")
def delete_token(token: Annotated[str, typer.Argument(metavar="TOKEN_ID")], as_json: AsJson = False) -> None:
    """Delete a token that nobody used."""
    with connect() as channel:
        call(_stub(channel).DeleteJoinToken, DeleteJoinTokenRequest(id=token))
    if as_json:
        print_json({"token": token})
    else:
        print(f"join token {token} is deleted")


def state_text(node: str, expires_at: str, now: datetime | None = None) -> str:
    """Whether a token can still be used, and if not why."""
    if node:
        return f"used by {node[:12]}…"
    ended = datetime.fromisoformat(expires_at) <= (now or datetime.now(UTC))
    return f"{'expired' if ended else 'until'} {expires_at}"


def print_token(reply: CreateJoinTokensReply, as_json: bool) -> None:
    """The one line to paste; on standard error until when it works."""
    (token,) = reply.tokens
    if as_json:
        print_json({"token": token, "expires_at": reply.expires_at})
        return
    print(f"edge-node enroll {token}")
    typer.echo(f"run this on the device before {reply.expires_at}; it works once", err=True)


def provisioning(reply: CreateJoinTokensReply, site: str, name: str, suffix: str) -> bytes:
    """A file for whoever images the devices: CSV with a header, or JSON."""
    rows = [{"token": token, "site": site, "name": name, "expires_at": reply.expires_at} for token in reply.tokens]
    if suffix == ".json":
        return json.dumps(rows, indent=2).encode() + b"\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, tuple(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def seconds(text: str) -> int:
    """A duration as people write it: 90s, 10m, 12h, 3d.

    Raises:
        WrongUsage: it is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if found is None:
        raise WrongUsage(f"--ttl {text!r}: write a number and s, m, h or d, for example 10m")
    return int(timedelta(seconds=int(found[1]) * UNITS[found[2]]).total_seconds())


def labels_of(words: Iterable[str]) -> dict[str, str]:
    """Labels as people write them, each KEY=VALUE.

    Raises:
        WrongUsage: one is none.
    """
    pairs = [word.partition("=") for word in words]
    for key, equals, value in pairs:
        if not (key and equals):
            raise WrongUsage(f"--label {key + equals + value!r}: write KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _stub(channel: object) -> AccessServiceStub:
    return AccessServiceStub(channel)  # type: ignore[no-untyped-call]


def _document(token: JoinToken) -> dict[str, str | None]:
    return {
        "id": token.id,
        "site": token.site,
        "name": token.name or None,
        "created_by": token.created_by,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at or None,
        "node": token.node_id or None,
        "replaces": token.replaces or None,
    }
