"""The agent's choice of a worker. No engine and no numpy here."""

import importlib
from typing import Literal, cast

from edge_node.sandbox.confinement import Confinement
from edge_node.worker.client import ProcessWorker
from edge_node.worker.ladders import Ladders
from edge_node.worker.liveness import Limits
from edge_node.worker.messages import Worker


def new_worker(
    isolation: Literal["process", "thread"],
    confinement: Confinement,
    limits: Limits | None = None,
    ladders: Ladders | None = None,
) -> Worker:
    """A worker that has not been started, of the chosen isolation. Threads are neither confined nor limited."""
    if isolation == "process":
        return ProcessWorker(confinement, limits, ladders)
    inline = importlib.import_module("edge_node.worker.inline")  # by name: it brings engines into this process
    return cast("Worker", inline.ThreadWorker())
