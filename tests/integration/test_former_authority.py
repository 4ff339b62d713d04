"""After the authority has changed: who has only a certificate of the former one, and who has its key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.authority.certificates import CLIENT, authority_certificate
from coordinator.authority.files import read_authority
from coordinator.authority.keys import key_pem, new_key
from coordinator.folder import Folder
from tests.coordinators import EnrolledNode, enrolled, registered, running_coordinator
from tests.integration.test_enrollment import refused, renewed


def gone(folder: Folder) -> None:
    """Only a new authority is there: the rotation is over."""
    key = new_key()
    folder.authority_key.write_bytes(key_pem(key))
    folder.authorities.write_bytes(authority_certificate(key, datetime.now(UTC)))


def unchanged(_: Folder) -> None:
    """There was no rotation."""


def both(folder: Folder) -> None:
    """The former authority is trusted still."""
    old = folder.authorities.read_bytes()
    gone(folder)
    folder.authorities.write_bytes(folder.authorities.read_bytes() + old)


async def test_a_node_comes_back_by_the_key_that_was_certified_for_it(tmp_path: Path) -> None:
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        node = await enrolled(coordinator)
        gone(coordinator.folder)
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        reply = await renewed(coordinator, node, node.key)
        assert reply.node_id == node.id
        assert (await registered(coordinator, EnrolledNode(node.id, node.key, reply))).node_id == node.id


@pytest.mark.parametrize(("change", "is_taken"), [(unchanged, True), (both, False), (gone, False)])
async def test_a_thief_of_the_former_authoritys_key_makes_no_identity_any_more(
    tmp_path: Path, change: Callable[[Folder], None], is_taken: bool
) -> None:
    """The control arm: before a rotation its key makes everybody."""
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        node, key, stolen = await enrolled(coordinator), new_key(), read_authority(coordinator.folder)
        change(coordinator.folder)
    forged = stolen.issue(key.public_key(), node.id, CLIENT, timedelta(days=9), datetime.now(UTC)).pem
    thief = EnrolledNode(node.id, key, node.reply)
    async with running_coordinator(tmp_path, own_broker="embedded") as coordinator:
        asked = renewed(coordinator, thief, key, certificate=forged)
        if is_taken:
            assert (await asked).node_id == node.id
        else:
            assert "was not issued by this coordinator" in (await refused(asked))[1]
