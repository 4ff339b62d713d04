"""Slow or greedy clients cannot starve others (promise S9): an honest one loses nothing, memory stays bounded.

The honest client asks a hundred times a second over gRPC with TLS and a key of its own. How much longer it waits beside
each attack is a figure of `make bench ARGS=attacks`, not of a test.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.attacked_server import Defended, Honest, Peak, defended
from tests.e2e.serving_attackers import ATTACKS
from tests.waiting import comes_true

MEMORY_KB = 64 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Defended]:
    with defended(tmp_path_factory.mktemp("defended")) as one:
        yield one


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack != "computing"])
def test_an_honest_client_loses_nothing_beside_an_attack(server: Defended, attack: str) -> None:
    with Honest(server) as honest, Peak(server) as peak, server.attacked(attack):
        honest.times()
    assert honest.lost == []
    assert peak.growth_kb <= MEMORY_KB


async def test_without_limits_large_messages_take_the_memory(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The control arm."""
    unlimited = "request_mb = 256\n[serving.limits]\nconcurrent = 0\nrequests_per_s = 0\nconnections = 0\n"
    with (
        defended(tmp_path_factory.mktemp("open"), unlimited) as server,
        Peak(server) as peak,
        server.attacked("large_messages"),
    ):
        await comes_true(lambda: peak.growth_kb > MEMORY_KB, "the memory to be taken")
