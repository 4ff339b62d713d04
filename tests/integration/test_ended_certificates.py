"""Whose certificate has ended has no place at the broker, and gets it back in the moment in which it renews."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator import app
from coordinator.app import Coordinator
from coordinator.authority.keys import new_key
from coordinator.link.access import AccessTable
from tests.coordinators import credential_for, enrolled, running_coordinator
from tests.integration.test_enrollment import renewed

BROKERS = [pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "embedded"]


def access(coordinator: Coordinator) -> AccessTable:
    assert coordinator.identities is not None
    return coordinator.identities.access()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Sets the clock of coordinators that start from now on."""
    now = app.utc_now

    def set_clock(by: timedelta) -> None:
        monkeypatch.setattr(app, "utc_now", lambda: now() + by)

    return set_clock


@pytest.mark.parametrize("own_broker", BROKERS)
async def test_a_node_is_out_when_its_certificate_has_ended_and_in_again_when_it_has_renewed(
    own_broker: str, tmp_path: Path, later: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"node_certificate_hours": 1, "own_broker": own_broker}
    async with running_coordinator(tmp_path, **changes) as coordinator:
        node = await enrolled(coordinator)
        other = await enrolled(coordinator, "cam-4")
        await credential_for(coordinator, "viewer", "dash")
        assert {node.id, other.id} == access(coordinator).places.keys()  # the control arm
    later(timedelta(hours=2))
    async with running_coordinator(tmp_path, **changes) as coordinator:
        assert not access(coordinator).places
        assert "viewer:dash" in access(coordinator).readers  # valid for a year
        told: list[AccessTable] = []
        assert coordinator.identities is not None
        settled = coordinator.identities.access_settled

        async def tell() -> None:
            await settled()
            told.append(access(coordinator))

        monkeypatch.setattr(coordinator.identities, "access_settled", tell)
        await renewed(coordinator, node, new_key())
        assert [table.places.keys() for table in told] == [{node.id}]  # before it has the answer
        await renewed(coordinator, node, new_key())
        assert len(told) == 1  # it was in
    later(timedelta(days=366))
    async with running_coordinator(tmp_path, **changes) as coordinator:
        assert "viewer:dash" not in access(coordinator).readers
