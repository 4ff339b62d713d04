"""A whole coordinator for tests: the object that `edge-coordinator serve` runs, on free ports and a temporary folder.

async with running_coordinator(tmp_path) as coordinator:
    code = await edgectl(coordinator, "node", "list")
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from coordinator.app import Coordinator
from coordinator.cli import main
from coordinator.config import CoordinatorConfig
from coordinator.folder import Folder, make_folder

CONFIG = CoordinatorConfig(port=0, broker_port=0, announce=False)


@asynccontextmanager
async def running_coordinator(folder: Path, **changes: object) -> AsyncIterator[Coordinator]:
    """A coordinator that runs for the block; `changes` are keys of its configuration."""
    make_folder(Folder(folder), CoordinatorConfig())
    coordinator = Coordinator(msgspec.structs.replace(CONFIG, **changes), folder)
    await coordinator.start()
    try:
        yield coordinator
    finally:
        await coordinator.stop()


async def edgectl(coordinator: Coordinator, *arguments: str) -> int:
    """Run `edgectl` against it, in this process; the exit code."""
    return await asyncio.to_thread(main, ["--coordinator", coordinator.address, *arguments])
