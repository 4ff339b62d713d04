"""Enrollment over gRPC (S1, S2): a token makes exactly one node, and what it becomes is decided here."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from grpc import StatusCode

from coordinator.app import Coordinator
from coordinator.authority.certificates import described, read_certificate
from coordinator.authority.keys import PrivateKey, certificate_request, key_digest, new_key
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.fleet.enrollment import RENEWALS_AN_HOUR
from protos.envelope import TIME, open_sealed
from protos.fleet.v1.enrollment_pb2 import (
    Authority,
    Challenge,
    Enrollment,
    EnrollRequest,
    GetAuthorityRequest,
    GetChallengeRequest,
    RenewCertificateRequest,
)
from protos.fleet.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from protos.join_token import JoinToken
from protos.time_statement import read_time_statement
from tests.coordinators import (
    EnrolledNode,
    admin,
    edgectl,
    enrolled,
    enrollment,
    join_token,
    registered,
    running_coordinator,
    use,
)
from tests.sizes import times, tried
from tests.unit.authority.requests import BAD

NONCE = bytes(16)


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[Coordinator]:
    """A coordinator with a broker in process."""
    async with running_coordinator(tmp_path / "coordinator", own_broker="embedded") as coordinator:
        yield coordinator


def rows(coordinator: Coordinator, table: str) -> list[Any]:
    """All rows of a table."""
    engine = open_engine(sqlite_url(coordinator.folder.database))
    with engine.connect() as connection:
        found = list(connection.execute(sa.text(f"SELECT * FROM {table}")))
    engine.dispose()
    return found


async def refused(call: Any) -> tuple[StatusCode, str]:
    """The status of a call that is refused, in one line."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    details = error.value.details() or ""
    assert "\n" not in details
    return error.value.code(), details


async def renewed(coordinator: Coordinator, node: EnrolledNode, key: PrivateKey, **changes: Any) -> Enrollment:
    """A renewal; `changes` are fields of the request."""
    async with enrollment(coordinator) as channel:
        stub = EnrollmentServiceStub(channel)  # type: ignore[no-untyped-call]
        asked: Challenge = await stub.GetChallenge(GetChallengeRequest(nonce=NONCE))
        csr = certificate_request(key)
        signature = node.key.sign(asked.challenge + csr, ECDSA(hashes.SHA256()))
        fields = {"certificate": node.reply.certificate, "csr": csr, "challenge": asked.challenge}
        reply: Enrollment = await stub.RenewCertificate(
            RenewCertificateRequest(**{**fields, "signature": signature, **changes})
        )
    return reply


# -- S1: a join token works once -------------------------------------------------------------------------------------


@pytest.mark.soak
async def test_of_a_hundred_concurrent_uses_exactly_one_wins(coordinator: Coordinator) -> None:
    for number in range(times(3)):
        token = await join_token(coordinator, f"store-{number}")
        uses = (use(coordinator, token, f"cam-{device}", new_key()) for device in range(100))
        answers = await asyncio.gather(*uses, return_exceptions=True)
        won = [answer for answer in answers if isinstance(answer, EnrolledNode)]
        lost = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert (len(won), len(lost)) == (1, 99)
        assert {error.code() for error in lost} == {StatusCode.PERMISSION_DENIED}
        assert len(rows(coordinator, "nodes")) == number + 1
        assert len([row for row in rows(coordinator, "certificates") if row.principal == won[0].id]) == 1
        tried["join tokens, of 100 concurrent uses each (S1)"] += 1


async def test_the_same_key_may_ask_again_and_gets_the_same_certificate(coordinator: Coordinator) -> None:
    token, key = await join_token(coordinator), new_key()
    answers = await asyncio.gather(*(use(coordinator, token, "cam-3", key) for _ in range(20)))
    assert len({answer.reply.certificate for answer in answers}) == 1
    assert (await refused(use(coordinator, token, "cam-3", new_key())))[1].startswith("this join token was used")


async def test_an_answer_that_was_lost_with_the_coordinator_comes_again_after_its_restart(tmp_path: Path) -> None:
    key = new_key()
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        token = await join_token(coordinator)
        first = await use(coordinator, token, "cam-3", key)
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        again = await use(coordinator, token, "cam-3", key)
        assert (again.id, again.reply.certificate) == (first.id, first.reply.certificate)
        assert (await refused(use(coordinator, token, "cam-4", new_key())))[0] is StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("step", ["check_free", "issue"])
async def test_a_coordinator_that_dies_between_check_and_mark_leaves_the_token_unused(
    step: str, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that does not commit is what a kill leaves behind."""

    def dies(*_: Any) -> Any:
        raise RuntimeError("killed")

    token = await join_token(coordinator)
    with monkeypatch.context() as patched:
        patched.setattr(f"coordinator.fleet.enrollment.{step}", dies)
        assert (await refused(use(coordinator, token, "cam-3", new_key())))[0] is StatusCode.INTERNAL
    assert rows(coordinator, "nodes") == []
    assert (await use(coordinator, token, "cam-3", new_key())).reply.name == "cam-3"


async def test_a_token_ends(coordinator: Coordinator) -> None:
    token = await join_token(coordinator, ttl_s=1)
    await asyncio.sleep(1.1)
    code, said = await refused(use(coordinator, token, "cam-3", new_key()))
    assert (code, "expired at" in said) == (StatusCode.PERMISSION_DENIED, True)


async def test_a_token_that_nobody_made_or_that_was_deleted_is_refused(coordinator: Coordinator) -> None:
    token = await join_token(coordinator)
    guessed = JoinToken(bytes(16), token.ca, token.addresses)
    assert "is not known here" in (await refused(use(coordinator, guessed, "cam-3", new_key())))[1]
    assert await edgectl(coordinator, "node", "token", "delete", token.digest[:12]) == 0
    assert "is not known here" in (await refused(use(coordinator, token, "cam-3", new_key())))[1]


async def test_a_node_belongs_to_the_site_of_its_token_whatever_it_says(coordinator: Coordinator) -> None:
    node = await enrolled(coordinator, site="store-12")
    answer = await registered(coordinator, node, site="store-13", name="boss")
    assert (answer.site, answer.name) == ("store-12", "cam-3")


async def test_a_tokens_name_and_labels_win_now_and_later(coordinator: Coordinator) -> None:
    token = await join_token(coordinator, name="till-1", labels={"tier": "prod"})
    node = await use(coordinator, token, "cam-3", new_key(), {"tier": "test", "lens": "wide"})
    assert node.reply.name == "till-1"
    await registered(coordinator, node, labels={"tier": "mine", "lens": "wide"})
    (row,) = rows(coordinator, "nodes")
    assert '"tier":"prod"' in row.labels
    assert '"lens":"wide"' in row.labels


async def test_a_taken_name_does_not_cost_the_token(coordinator: Coordinator) -> None:
    await enrolled(coordinator, "cam-3")
    token = await join_token(coordinator)
    code, said = await refused(use(coordinator, token, "cam-3", new_key()))
    assert (code, "belongs to another node" in said) == (StatusCode.FAILED_PRECONDITION, True)
    assert (await use(coordinator, token, "cam-4", new_key())).reply.name == "cam-4"


# -- S2: keys stay, identity is decided here -------------------------------------------------------------------------


@pytest.mark.parametrize("what", BAD)
async def test_a_request_that_asks_for_more_or_is_none_is_refused_and_costs_nothing(
    what: str, coordinator: Coordinator
) -> None:
    token = await join_token(coordinator)
    async with enrollment(coordinator) as channel:
        stub = EnrollmentServiceStub(channel)  # type: ignore[no-untyped-call]
        code, _ = await refused(stub.Enroll(EnrollRequest(secret=token.secret, csr=BAD[what](), name="cam-3")))
    assert code is StatusCode.INVALID_ARGUMENT
    assert rows(coordinator, "nodes") == []


async def test_the_certificate_is_for_the_devices_key_and_an_id_that_it_did_not_choose(
    coordinator: Coordinator,
) -> None:
    node = await enrolled(coordinator)
    certificate = described(read_certificate(node.reply.certificate))
    assert certificate.common_name == node.id
    assert certificate.key_digest == key_digest(node.key.public_key())
    assert certificate.not_after - certificate.not_before == timedelta(days=90, minutes=5)


async def test_no_key_and_no_secret_is_logged_or_kept(
    coordinator: Coordinator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await join_token(coordinator)
    await use(coordinator, token, "cam-3", new_key())
    await refused(use(coordinator, token, "cam-3", new_key()))
    kept = b"".join(file.read_bytes() for file in coordinator.folder.root.glob("coordinator.db*"))
    for secret in (token.text, token.secret.hex()):
        assert secret not in caplog.text
        assert secret.encode() not in kept
    assert token.secret not in kept
    assert "PRIVATE KEY" not in caplog.text


def test_what_is_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    from tests.coordinators import initialised

    folder = initialised(tmp_path)
    for file in (folder.authority_key, folder.signing_key, folder.admin):
        assert file.stat().st_mode & 0o777 == 0o600


async def test_the_coordinator_that_a_token_names_is_known_by_its_authority(coordinator: Coordinator) -> None:
    token = await join_token(coordinator)
    async with enrollment(coordinator) as channel:
        stub = EnrollmentServiceStub(channel)  # type: ignore[no-untyped-call]
        told: Authority = await stub.GetAuthority(GetAuthorityRequest())
    assert read_certificate(told.certificate).fingerprint(hashes.SHA256()) == token.ca
    assert token.addresses == (coordinator.enrollment_address,)


# -- renewal ---------------------------------------------------------------------------------------------------------


async def test_a_node_that_proves_its_key_gets_another_certificate(coordinator: Coordinator) -> None:
    node, key = await enrolled(coordinator), new_key()
    reply = await renewed(coordinator, node, key)
    assert (reply.node_id, reply.site) == (node.id, "store-12")
    renewed_node = EnrolledNode(node.id, key, reply)
    assert (await registered(coordinator, renewed_node)).node_id == node.id


@pytest.mark.parametrize("fresh_s", [60, 0])
async def test_renewing_or_enrolling_in_a_loop_fills_neither_the_log_nor_the_authoritys_day(
    fresh_s: int, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.fleet.enrollment.FRESH", timedelta(seconds=fresh_s))
    token, key = await join_token(coordinator), new_key()
    node = await use(coordinator, token, "cam-3", key)
    assert recorded(coordinator, "node.enroll") == 1
    certificates = {(await renewed(coordinator, node, key)).certificate for _ in range(5)}
    assert (await use(coordinator, token, "cam-3", key)).id == node.id
    assert recorded(coordinator, "node.enroll") == 1
    if fresh_s:
        assert certificates == {node.reply.certificate}
        assert recorded(coordinator, "node.renew") == 0
    else:  # the control arm
        assert len(certificates) == 5
        assert recorded(coordinator, "node.renew") == 5


@pytest.mark.parametrize("is_bounded", [True, False], ids=["bounded", "the control arm"])
async def test_a_node_that_renews_with_another_key_each_time_is_refused_after_a_dozen_within_the_hour(
    is_bounded: bool, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_bounded:
        monkeypatch.setattr("coordinator.fleet.quota.Quota.take", lambda *_: True)
    greedy, other = await enrolled(coordinator), await enrolled(coordinator, "cam-4")
    for _ in range(RENEWALS_AN_HOUR):
        await renewed(coordinator, greedy, new_key())
    if is_bounded:
        code, said = await refused(renewed(coordinator, greedy, new_key()))
        assert (code, "12 times within an hour: try again later" in said) == (StatusCode.PERMISSION_DENIED, True)
        await refused(renewed(coordinator, greedy, new_key()))
    else:
        await renewed(coordinator, greedy, new_key())
    assert recorded(coordinator, "node.renew") == RENEWALS_AN_HOUR + 1  # the refusal: once a minute
    assert (await renewed(coordinator, other, new_key())).node_id == other.id


def recorded(coordinator: Coordinator, action: str) -> int:
    """How often an act stands in the audit log."""
    return sum(row.action == action for row in rows(coordinator, "audit"))


async def test_a_renewal_without_the_key_is_refused(coordinator: Coordinator) -> None:
    node, key = await enrolled(coordinator), new_key()
    stolen = EnrolledNode(node.id, new_key(), node.reply)
    assert "does not prove" in (await refused(renewed(coordinator, stolen, key)))[1]
    other = await enrolled(coordinator, "cam-4")
    borrowed = renewed(coordinator, node, key, certificate=other.reply.certificate)
    assert "does not prove" in (await refused(borrowed))[1]
    assert "challenge" in (await refused(renewed(coordinator, node, key, challenge=bytes(56))))[1]
    assert "does not prove" in (await refused(renewed(coordinator, node, key, csr=certificate_request(key))))[1]


async def test_only_nodes_of_this_authority_renew(coordinator: Coordinator, tmp_path: Path) -> None:
    node = await enrolled(coordinator)
    person = renewed(coordinator, node, new_key(), certificate=coordinator.folder.admin.read_bytes())
    assert "only nodes renew" in (await refused(person))[1]
    async with running_coordinator(tmp_path / "other", own_broker="embedded") as other:
        stranger = await enrolled(other)
        assert "was not issued by this coordinator" in (await refused(renewed(coordinator, stranger, new_key())))[1]


@pytest.mark.parametrize("grace_days", [1, 0])
async def test_a_certificate_that_ended_is_renewed_within_the_grace_only(
    grace_days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coordinator import app

    now = app.utc_now
    changes = {"node_certificate_hours": 1, "renewal_grace_days": grace_days, "own_broker": "embedded"}
    async with running_coordinator(tmp_path, **changes) as coordinator:
        node = await enrolled(coordinator)
    monkeypatch.setattr(app, "utc_now", lambda: now() + timedelta(hours=2))
    async with running_coordinator(tmp_path, **changes) as coordinator:
        if grace_days:
            assert (await renewed(coordinator, node, new_key())).node_id == node.id
        else:
            assert "days of grace are over" in (await refused(renewed(coordinator, node, new_key())))[1]


async def test_the_time_is_signed_and_answers_one_question(coordinator: Coordinator) -> None:
    node = await enrolled(coordinator)
    async with enrollment(coordinator) as channel:
        stub = EnrollmentServiceStub(channel)  # type: ignore[no-untyped-call]
        asked: Challenge = await stub.GetChallenge(GetChallengeRequest(nonce=b"n" * 16))
        assert (await refused(stub.GetChallenge(GetChallengeRequest(nonce=b"short"))))[0] is StatusCode.INVALID_ARGUMENT
    payload = open_sealed(asked.time, TIME, frozenset(node.reply.trusted_keys))
    assert read_time_statement(payload, b"n" * 16).time.tzinfo is not None


async def test_the_servers_certificate_changes_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.api.server.LOOK_EVERY_S", 0.2)
    async with running_coordinator(tmp_path) as coordinator:
        async with admin(coordinator) as channel:
            await channel.channel_ready()
        shown = coordinator.folder.server_certificate
        before = shown.read_bytes()
        assert await presented(coordinator) == before
        shown.unlink()
        assert coordinator.identities is not None
        assert await asyncio.to_thread(coordinator.identities.own.refresh)
        assert shown.read_bytes() != before
        async with asyncio.timeout(30):
            while await presented(coordinator) != shown.read_bytes():  # noqa: ASYNC110 (no event for it)
                await asyncio.sleep(0.1)
        async with admin(coordinator) as channel:
            await channel.channel_ready()


async def presented(coordinator: Coordinator) -> bytes:
    """The certificate that the enrollment server shows now."""
    import ssl

    host, _, port = coordinator.enrollment_address.rpartition(":")
    try:
        return (await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))).encode()
    except OSError:  # it binds again just now
        return b""
