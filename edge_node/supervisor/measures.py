"""What the node counts of its bytes, and the metrics that it publishes of itself."""

import asyncio
import random
from collections.abc import Callable

from edge_node.supervisor.device import Device
from edge_node.supervisor.status import BytesReport, StatusDocument
from edge_node.telemetry.traffic import Totals, Traffic
from protos.metrics import Metrics

EVERY_S = 30.0
"""Between two messages; each pause is drawn from three quarters of it to all of it, so that a fleet spreads."""


class Meter:
    """The bytes of one agent. `traffic` counts what leaves; what comes in is read from the device."""

    def __init__(self, device: Device) -> None:
        self.traffic = Traffic()
        self._device = device
        self._pipelines = Totals()

    def look(self) -> None:
        """Read the pipelines' counters: they begin again with a new worker, so look more often than one dies."""
        status = None if self._device.worker is None else self._device.worker.status
        self._pipelines.see({} if status is None else {one.name: one.ingress_bytes for one in status.pipelines})

    def report(self) -> BytesReport:
        """The bytes since the start."""
        self.look()
        return BytesReport(self._device.taken_in(), self._pipelines.see({}), self.traffic.out, self.traffic.refusals)

    async def tell(self, say: Callable[[], None]) -> None:
        """Say the metrics again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S * (0.75 + random.random() / 4))  # noqa: S311 (jitter)
            say()


def metrics_of(status: StatusDocument, *, at: str, started: str) -> Metrics:
    """What the status counts, under the names of the contract. Pure.

    Args:
        status: what the node does now.
        at: RFC 3339 UTC, now.
        started: RFC 3339 UTC, when this agent began to count.
    """
    return Metrics(
        at=at,
        started=started,
        edge_ingress_bytes_total=status.bytes.pipelines,
        edge_source_bytes_total=status.bytes.taken_in,
        edge_egress_bytes_total=status.bytes.out,
        edge_egress_refused_total=status.bytes.refused,
        edge_inferences_total={pipeline.name: pipeline.results for pipeline in status.pipelines},
        edge_outbox_depth=status.outbox.waiting,
        edge_outbox_oldest_seconds=status.outbox.oldest_s,
        edge_outbox_dropped_total=status.outbox.dropped,
        edge_desired_revision=status.revision,
    )
