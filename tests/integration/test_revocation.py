"""Taking an identity away (S4, the coordinator's side): at once in the process that does it, soon in the others."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from coordinator.app import Coordinator
from coordinator.authority.keys import new_key
from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.errors import Unreachable
from coordinator.fleet.admitted import AdmittedNodes, everybody
from coordinator.fleet.records import Revocation
from coordinator.fleet.revocations import Revocations
from protos.join_token import parse_join_token
from tests.coordinators import (
    channel_of,
    credential_for,
    edgectl,
    enrolled,
    registered,
    running_coordinator,
    use,
)
from tests.services import METHODS
from tests.unit.fleet.examples import NOW

STATUS = next(method for method in METHODS if method.name == "SystemService/GetStatus")


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[Coordinator]:
    """A coordinator with a broker in process."""
    async with running_coordinator(tmp_path / "coordinator", own_broker="embedded") as coordinator:
        yield coordinator


async def complaint(call: Any) -> str:
    """The one line of a call that is not permitted."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert refused.value.code() is StatusCode.PERMISSION_DENIED
    return refused.value.details() or ""


async def test_a_revoked_node_may_do_nothing_from_the_next_call_on(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    node = await enrolled(coordinator)
    await registered(coordinator, node)  # the control arm
    assert await edgectl(coordinator, "node", "revoke", "cam-3", "--reason", "stolen") == 0
    assert node.id in capsys.readouterr().out
    assert "was revoked on this coordinator" in await complaint(registered(coordinator, node))
    assert await edgectl(coordinator, "node", "show", "cam-3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["revoked_at"]


async def test_nothing_of_a_revoked_node_is_stored_and_brokers_hear_of_it(coordinator: Coordinator) -> None:
    node = await enrolled(coordinator)
    identities = coordinator.identities
    assert identities is not None
    store = ControlStore(open_engine(sqlite_url(coordinator.folder.database)))
    admits = AdmittedNodes(store, identities.revocations.is_revoked)
    assert admits(node.id)
    assert node.id in identities.access().places
    await edgectl(coordinator, "node", "revoke", node.id)
    assert not admits(node.id)
    assert node.id not in identities.access().places
    store.close()


async def test_what_another_process_revokes_is_known_within_seconds(coordinator: Coordinator) -> None:
    node = await enrolled(coordinator)
    store = ControlStore(open_engine(sqlite_url(coordinator.folder.database)))
    with store.write() as tx:
        tx.revoked.add(Revocation(node.id, NOW, "admin:elsewhere", ""))
    began = time.monotonic()
    while True:
        try:
            await registered(coordinator, node)
        except grpc.aio.AioRpcError:
            break
        await asyncio.sleep(0.2)
    assert time.monotonic() - began < 60
    assert node.id in everybody(store, NOW).revoked
    store.close()


async def test_a_credential_that_is_revoked_is_refused_on_the_connection_that_it_has(
    coordinator: Coordinator,
) -> None:
    viewer = await credential_for(coordinator, "viewer", "dash")
    async with channel_of(coordinator, viewer) as channel:
        await STATUS.call(channel)  # the control arm
        assert await edgectl(coordinator, "credential", "revoke", "viewer:dash") == 0
        assert "viewer:dash was revoked" in await complaint(STATUS.call(channel))


async def test_a_name_that_was_revoked_is_not_given_again_and_nobody_revokes_itself(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await credential_for(coordinator, "viewer", "dash")
    assert await edgectl(coordinator, "credential", "revoke", "viewer:dash") == 0
    again = ("credential", "create", "dash", "--role", "viewer", "-o", str(tmp_path / "dash.pem"))
    assert await edgectl(coordinator, *again) == 4
    assert "viewer:dash was revoked, for good: choose another name" in capsys.readouterr().err
    assert not (tmp_path / "dash.pem").exists()
    assert await edgectl(coordinator, "credential", "revoke", "admin:tester") == 4
    assert "cannot revoke itself" in capsys.readouterr().err


async def test_replaced_hardware_gets_a_new_id_and_the_same_place(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    old = await enrolled(coordinator)
    await registered(coordinator, old, labels={"lens": "wide"})
    assert await edgectl(coordinator, "node", "replace", "cam-3", "--json") == 0
    first = parse_join_token(json.loads(capsys.readouterr().out)["token"])
    assert await edgectl(coordinator, "node", "replace", "cam-3", "--json") == 0
    second = parse_join_token(json.loads(capsys.readouterr().out)["token"])
    assert "was revoked" in await complaint(registered(coordinator, old))
    assert "is not known here" in await complaint(use(coordinator, first, "x", new_key()))
    new = await use(coordinator, second, "whatever", new_key())
    assert (new.reply.site, new.reply.name, new.id != old.id) == ("store-12", "cam-3", True)
    assert await edgectl(coordinator, "node", "list", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["labels"], listed["revoked_at"]) == (new.id, {"lens": "wide"}, None)


async def test_a_deleted_node_is_revoked_too(coordinator: Coordinator) -> None:
    node = await enrolled(coordinator)
    assert await edgectl(coordinator, "node", "delete", "cam-3") == 0
    assert "was revoked" in await complaint(registered(coordinator, node))


async def test_while_the_database_is_away_the_last_list_holds(coordinator: Coordinator) -> None:
    store = ControlStore(open_engine(sqlite_url(coordinator.folder.database)))
    revocations = Revocations(store, lambda: None)
    with store.write() as tx:
        tx.revoked.add(Revocation("viewer:dash", NOW, "admin:alice", ""))
    assert revocations.load()
    store.close()
    coordinator.folder.database.rename(coordinator.folder.root / "elsewhere.db")
    coordinator.folder.database.mkdir()
    with pytest.raises(Unreachable):
        revocations.load()
    assert revocations.is_revoked("viewer:dash")
