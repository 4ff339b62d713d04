"""What the node shows of itself on the device: the document of `edge-node status`, and a line for systemd."""

import os
import time

from edge_node import __version__
from edge_node.membership.clock import Clock
from edge_node.outbox.queue import Outbox
from edge_node.supervisor.belonging import Belonging
from edge_node.supervisor.device import Device
from edge_node.supervisor.following import Following
from edge_node.supervisor.measures import Meter
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.results import Results
from edge_node.supervisor.saying import Saying
from edge_node.supervisor.status import (
    StatusDocument,
    clock_report,
    outbox_report,
    pipeline_reports,
    plan_report,
    serving_report,
    source_reports,
    worker_report,
)
from edge_node.telemetry import system


class Showing:
    """Shows one agent; each part is asked for its own share."""

    def __init__(
        self,
        *,
        belonging: Belonging,
        following: Following,
        device: Device,
        reconciler: Reconciler,
        outbox: Outbox,
        results: Results,
        meter: Meter,
        clock: Clock,
        saying: Saying,
    ) -> None:
        self._belonging = belonging
        self._following = following
        self._device = device
        self._reconciler = reconciler
        self._outbox = outbox
        self._results = results
        self._meter = meter
        self._clock = clock
        self._saying = saying
        self._started_at = time.monotonic()

    def summary(self) -> str:
        """What the node does now, in a few words that cost nothing."""
        link = "connected" if self._belonging.connected else "not connected"
        return f"{len(self._device.pipelines)} pipelines, {link}, {self._outbox.last_seq} results"

    def status(self) -> StatusDocument:
        """What the node does now."""
        device, identity = self._device, self._belonging.identity
        worker_status = None if device.worker is None else device.worker.status
        served = None if device.serving is None else device.serving.served
        listening = None if device.serving is None else device.listening
        report = self._saying.reported()
        known = self._following.desired or identity
        return StatusDocument(
            node="" if identity is None else identity.node,
            name="" if known is None else known.name,
            site="" if known is None else known.site,
            agent_version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started_at, 3),
            memory_kb=system.pss_kb() or 0,
            epoch=report.epoch,
            revision=report.revision,
            refusal=self._following.refusal,
            deployments=report.deployments,
            plan=plan_report(self._reconciler.plan, self._reconciler.under_way),
            pipelines=pipeline_reports(device.pipelines, worker_status, self._results.tallies),
            sources=source_reports({name: capture.report for name, capture in device.captures.items()}),
            worker=worker_report(
                device.worker is not None, worker_status, device.worker_deaths, self._saying.facts.sandbox
            ),
            outbox=outbox_report(self._outbox),
            link=self._belonging.link_report(),
            bytes=self._meter.report(),
            identity=self._belonging.upkeep.report(),
            clock=clock_report(self._clock),
            serving=serving_report(listening, served, device.offered, device.serving_deaths),
        )
