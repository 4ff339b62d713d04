"""`edgectl credential`: certificates for people and programs. Their keys are made here and go nowhere else."""

from pathlib import Path
from typing import Annotated

import typer

from coordinator.authority.credential import Credential
from coordinator.authority.keys import certificate_request, key_pem, new_key
from coordinator.cli.client import call, connect
from coordinator.cli.credentials import load_credential
from coordinator.cli.options import AsJson
from coordinator.cli.output import age_text, print_json, print_table
from coordinator.cli.secret_file import check_new, replace_secret, write_secret
from protos.fleet.v1.access_pb2 import IssueCredentialRequest, ListCredentialsRequest, RevokeCredentialRequest
from protos.fleet.v1.access_pb2_grpc import AccessServiceStub

app = typer.Typer(help="Credentials of people and programs.", no_args_is_help=True, rich_markup_mode=None)


@app.command("create")
def create_credential(
    name: Annotated[str, typer.Argument(help="Of a person or a program, for example alice or dashboard.")],
    role: Annotated[str, typer.Option(help="viewer, operator, publisher or admin.")],
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="Where to, mode 0600.")],
    days: Annotated[int, typer.Option(min=0, max=3650, help="How long it works; 0: a year.")] = 0,
    as_json: AsJson = False,
) -> None:
    """A credential: certificate, key and authority in one file."""
    check_new(output)
    key = new_key()
    request = IssueCredentialRequest(name=name, role=role, csr=certificate_request(key), days=days)
    with connect() as channel:
        reply = call(_stub(channel).IssueCredential, request)
    write_secret(output, Credential(reply.certificate, key_pem(key), b"".join(reply.authorities)).pem)
    if as_json:
        print_json({"principal": reply.principal, "not_after": reply.not_after, "file": str(output)})
    else:
        print(f"{reply.principal} in {output}, until {reply.not_after}: edgectl --credentials {output} …")


@app.command("renew")
def renew_credential(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A credential; it is replaced.")],
    days: Annotated[int, typer.Option(min=0, max=3650, help="How long it works; 0: a year.")] = 0,
    as_json: AsJson = False,
) -> None:
    """A new certificate with a new key and today's authorities, for whom the file is now."""
    held, key = load_credential(file), new_key()
    role, _, name = held.principal.partition(":")
    request = IssueCredentialRequest(name=name, role=role, csr=certificate_request(key), days=days)
    with connect() as channel:
        reply = call(_stub(channel).IssueCredential, request)
    replace_secret(file, Credential(reply.certificate, key_pem(key), b"".join(reply.authorities)).pem)
    if as_json:
        print_json({"principal": reply.principal, "not_after": reply.not_after, "file": str(file)})
    else:
        print(f"{reply.principal} in {file} is new, until {reply.not_after}")


@app.command("list")
def list_credentials(as_json: AsJson = False) -> None:
    """All credentials."""
    with connect() as channel:
        found = call(_stub(channel).ListCredentials, ListCredentialsRequest()).credentials
    documents = [
        {
            "principal": entry.principal,
            "not_after": entry.not_after,
            "issued_at": entry.issued_at,
            "revoked_at": entry.revoked_at or None,
        }
        for entry in found
    ]
    if as_json:
        print_json(documents)
        return
    rows = (
        (
            entry.principal,
            f"revoked {entry.revoked_at}" if entry.revoked_at else entry.not_after,
            age_text(entry.issued_at),
        )
        for entry in found
    )
    print_table(("PRINCIPAL", "UNTIL", "AGE"), rows, "no credentials yet")


@app.command("revoke")
def revoke_credential(
    principal: Annotated[str, typer.Argument(metavar="ROLE:NAME", help="For example viewer:dashboard.")],
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Refuse a credential from now on, for good."""
    with connect() as channel:
        call(_stub(channel).RevokeCredential, RevokeCredentialRequest(principal=principal, reason=reason))
    if as_json:
        print_json({"principal": principal})
    else:
        print(f"{principal} is revoked: every process of the coordinator refuses it within seconds")


def _stub(channel: object) -> AccessServiceStub:
    return AccessServiceStub(channel)  # type: ignore[no-untyped-call]
