"""Becoming a node: a token is used up, and what comes of it is put into the state folder as a whole.

Everything is written into `enrolling/` first, its key before the token is told to anybody, its `identity.json` last;
then `take_up` moves it into place. So a crash at any moment leaves the old identity or the new one, an enrollment that
is repeated uses the same key and gets the same answer, and a running agent takes up what `edge-node enroll` brought.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge_node.errors import BadInput, NearfieldError, Refused, Stranger, Unanswered, Unreachable
from edge_node.link import discovery
from edge_node.link import enrollment as link
from edge_node.link.address import coordinator_address
from edge_node.link.coordinator import Registration
from edge_node.membership.identity import (
    AUTHORITIES,
    CERTIFICATE,
    IDENTITY,
    KEY,
    Identity,
    IdentityFile,
    authorities_of,
    certificate_text,
    pinned,
)
from edge_node.store.files import sync_folder, write_durably
from protos.identity import NodeId
from protos.join_token import JoinToken

PENDING = "enrolling"


@dataclass(frozen=True)
class Applicant:
    """What the device says of itself; `coordinator` is host:port of enrollment where a person says it."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    facts_json: str = "{}"
    coordinator: str | None = None


async def enroll(folder: Path, token: JoinToken, applicant: Applicant) -> Identity:
    """Use up a token; the identity lies in `enrolling/` when this returns.

    Raises:
        Unreachable: the token's coordinator does not answer.
        Refused: it says no, or only strangers answer.
        BadInput: an address is none.
        OSError: the folder cannot be written.
    """
    pending = folder / PENDING
    with _withdrawn(folder):
        pending.mkdir(parents=True, exist_ok=True, mode=0o700)
        _ensure_key(pending / KEY)
        enrolled = await _answered(token, applicant, pending / KEY)
    identity = _identity(enrolled, _former(_held(folder), enrolled))
    authorities = authorities_of(identity.roots, enrolled.certified.authorities)
    write_durably(pending / CERTIFICATE, certificate_text(enrolled.certified, authorities))
    write_durably(pending / AUTHORITIES, authorities)
    write_durably(pending / IDENTITY, msgspec.json.encode(identity), mode=0o600)
    return identity


def take_up(folder: Path, *, running: bool = False) -> bool:
    """Move an identity that is complete into place, or go on with that; whether it was done.

    Results that wait belong to the node that made them: where this device becomes another node, and not the successor
    of what it was, they are set aside. A running agent does not take up such an identity; it has them open.
    """
    pending = folder / PENDING
    if not (pending / IDENTITY).exists():
        return False
    if (stranger := other_node(folder)) is not None:
        if running:
            return False
        for file in folder.glob("outbox.db*"):
            file.replace(folder / file.name.replace("outbox", f"outbox-{stranger}", 1))
    for name in (KEY, CERTIFICATE, AUTHORITIES, IDENTITY):
        if (pending / name).exists():
            (pending / name).replace(folder / name)
            sync_folder(folder)
    pending.rmdir()
    return True


def other_node(folder: Path) -> NodeId | None:
    """The node that this device was and does not go on for, where an identity waits that makes it another one."""
    held, coming = _held(folder), _held(folder / PENDING)
    if held is None or coming is None or held.node in (coming.node, *coming.former):
        return None
    return held.node


@contextlib.contextmanager
def _withdrawn(folder: Path) -> Iterator[None]:
    """Where nothing came of an enrollment, nothing stays of it.

    Unless the token may have been used up for the key: then the key stays, and doing it again gets the same answer.
    """
    made = [place for place in (folder / PENDING / KEY, folder / PENDING, folder) if not place.exists()]
    try:
        yield
    except (Unreachable, Refused) as error:
        if not isinstance(error, Unanswered):
            _remove(made)
        raise


def _remove(places: Iterable[Path]) -> None:
    """Remove a key and folders; a folder that something else lies in stays."""
    for place in places:
        with contextlib.suppress(OSError):
            place.unlink() if place.name == KEY else place.rmdir()


def _ensure_key(file: Path) -> None:
    """The key is on the disk before anybody hears of it: an enrollment that is repeated is then the same one."""
    if not file.exists():
        from edge_node.link.key import new_key  # here: an agent that is enrolled needs no certificates' library

        write_durably(file, new_key(), mode=0o600)


async def _answered(token: JoinToken, applicant: Applicant, key_file: Path) -> link.Enrolled:
    """The answer of the first address at which the token's coordinator answers."""
    if applicant.coordinator is not None:
        return await _at_given(applicant.coordinator, token, applicant, key_file)
    failures: list[NearfieldError] = []
    for address in token.addresses:
        try:
            return await _at(address, token, applicant, key_file)
        except (Unreachable, Stranger) as error:
            failures.append(error)
    for address in await _announced(failures):
        try:
            return await _at(address, token, applicant, key_file)
        except (Unreachable, Stranger) as error:
            failures.append(error)
    raise link.nobody(failures)


async def _at_given(address: str, token: JoinToken, applicant: Applicant, key_file: Path) -> link.Enrolled:
    """The answer at the address that a person gave; the API's port, a likely mistake, refuses strangers."""
    try:
        return await _at(address, token, applicant, key_file)
    except (Unreachable, Refused) as error:
        raise type(error)(f"{error}{wrong_port(address, token.addresses)}") from None


def wrong_port(given: str, told: Iterable[str]) -> str:
    """What to add where a person said a port at which the token's coordinator enrolls nobody; else nothing."""
    ports = {address.rpartition(":")[2] for address in told}
    host, _, port = given.rpartition(":")
    if not ports or port in ports:
        return ""
    return f"; devices enroll at another port: --coordinator {host}:{min(ports)}"


async def _at(address: str, token: JoinToken, applicant: Applicant, key_file: Path) -> link.Enrolled:
    return await link.enroll(
        token,
        coordinator_address(address, example=7071),
        key_file,
        name=applicant.name,
        labels=dict(applicant.labels),
        facts_json=applicant.facts_json,
    )


async def _announced(failures: list[NearfieldError]) -> tuple[str, ...]:
    """Where coordinators on this network enroll nodes; the token says which of them is meant."""
    try:
        return await discovery.find_enrollment()
    except Unreachable as error:
        failures.append(error)
        return ()


def _held(folder: Path) -> Identity | None:
    """The identity in a folder; one that is damaged is none."""
    try:
        return IdentityFile(folder / IDENTITY).load()
    except BadInput:
        return None


def _former(before: Identity | None, enrolled: link.Enrolled) -> tuple[NodeId, ...]:
    """The ids that this device had, where the token gave it the place of the last of them."""
    if before is None or enrolled.replaces != before.node:
        return () if before is None or before.node != enrolled.node_id else before.former
    return (before.node, *before.former)


def _identity(enrolled: link.Enrolled, former: tuple[NodeId, ...]) -> Identity:
    told = Registration(
        node_id=enrolled.node_id,
        broker_url=enrolled.broker_url,
        topic_prefix=enrolled.topic_prefix,
        trusted_keys=enrolled.trusted_keys,
        name=enrolled.name,
        site=enrolled.site,
        trust_roots=enrolled.trust_roots,
    )
    identity = pinned(None, told, enrolled.coordinator)
    return msgspec.structs.replace(identity, enrollment=enrolled.enrollment, former=former)
