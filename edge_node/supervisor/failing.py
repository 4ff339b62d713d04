"""Which pipelines answer no frame, and why. Pure.

A frame now and then may fail; a model whose every frame fails runs and gives nothing, and somebody has to hear of it.
"""

from collections.abc import Iterable, Mapping

from edge_node.supervisor.actual import RunningPipeline
from edge_node.worker.messages import PipelineStatus

IN_A_ROW = 5


def failing(statuses: Iterable[PipelineStatus], running: Mapping[str, RunningPipeline]) -> dict[str, str]:
    """By pipeline, the error of its newest frames; a status of the session before is no news of this one."""
    return {
        status.name: status.error
        for status in statuses
        if status.failing >= IN_A_ROW and status.name in running and running[status.name].session.key == status.session
    }
