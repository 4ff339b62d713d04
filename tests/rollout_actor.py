"""A coordinator reduced to who acts on rollouts, until it is killed.

    python -m tests.rollout_actor DATABASE_URL HOLDER

Prints `ready`, then for each round that changed documents how many, at once.
"""

import asyncio
import sys
from collections.abc import Collection
from datetime import UTC, datetime

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine
from coordinator.rollouts.controller import RolloutController
from coordinator.rollouts.rounds import Rounds
from protos.identity import NodeId
from protos.topics import Topics


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def told(nodes: Collection[NodeId]) -> None:
    """Documents changed."""
    print(len(nodes), flush=True)


async def run(url: str, holder: str) -> None:
    """The controller as the coordinator wires it."""
    controller = RolloutController(Rounds(ControlStore(open_engine(url)), Topics(), now, holder), now)
    controller.on_issued = told
    print("ready", flush=True)
    await controller.run()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
