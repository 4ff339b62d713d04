"""What the node says to its coordinator: hello, its reported state, progress, metrics. Whether it may leave is the
gate's to decide.
"""

import random
import time
from collections.abc import Callable

import msgspec

from edge_node import __version__
from edge_node.outbox.events import rfc3339
from edge_node.outbox.queue import Outbox
from edge_node.supervisor.actual import Actual
from edge_node.supervisor.belonging import Belonging
from edge_node.supervisor.device import Device
from edge_node.supervisor.fitted import fitted
from edge_node.supervisor.following import Following
from edge_node.supervisor.reconciler import Reconciler
from edge_node.supervisor.reported import reported
from edge_node.supervisor.trials import Telling, trial_reported
from protos.evidence import ReportedTrial
from protos.identity import NodeId
from protos.metrics import Metrics
from protos.reported import Facts, Hello, Progress, Reported

PROGRESS_S = 1.0


class Saying:
    """Says it for one node; `facts` are what is true of the device, `started` is since when this agent counts."""

    def __init__(
        self, belonging: Belonging, following: Following, device: Device, reconciler: Reconciler, outbox: Outbox
    ) -> None:
        self.facts = Facts()
        self.started = rfc3339(time.time_ns())
        self._belonging = belonging
        self._following = following
        self._device = device
        self._reconciler = reconciler
        self._outbox = outbox
        self._progressed_at = 0.0
        self._telling = Telling(time.monotonic, random.random)

    def facts_json(self) -> str:
        """The facts, as enrollment and registration tell them."""
        return msgspec.json.encode(self.facts).decode()

    def hello(self, connection: str) -> Hello:
        """What the node holds, for the connection of this id."""
        adopted, desired = self._following.adopted, self._following.desired
        return Hello(
            node=self._node(),
            connection=connection,
            agent_version=__version__,
            facts=msgspec.structs.replace(self.facts, disk_free_mb=self._device.bundles.blobs.free_bytes() // 2**20),
            desired_digest=None if adopted is None else adopted.digest,
            epoch=0 if desired is None else desired.epoch,
            revision=0 if desired is None else desired.revision,
            stream=self._outbox.stream,
            last_seq=self._outbox.last_seq,
        )

    def reported(self) -> Reported:
        """The node's state as its coordinator hears it."""
        actual = self._device.actual()
        said = reported(
            self._node(),
            self._following.adopted,
            actual,
            self._reconciler.plan,
            at=rfc3339(time.time_ns()),
            refusal=self._following.refusal,
            trials=self._trials(actual),
        )
        return fitted(msgspec.structs.replace(said, trust_root=self._belonging.trust_root))

    def report(self) -> None:
        """Say the reported state, where there is a connection."""
        if self._belonging.contact is not None and self._belonging.connected:
            self._belonging.contact.report(self.reported())

    def count(self, metrics: Callable[[], Metrics]) -> None:
        """Say the metrics, where there is a connection."""
        if self._belonging.contact is not None and self._belonging.connected:
            self._belonging.contact.metrics(metrics())

    def progress(self, deployment: str, done: int, total: int) -> None:
        """Say how far a download is, not more than once a second."""
        now, contact = time.monotonic(), self._belonging.contact
        if contact is not None and (done == total or now - self._progressed_at >= PROGRESS_S):
            self._progressed_at = now
            contact.progress(Progress(deployment, "fetch", done, total))

    def _trials(self, actual: Actual) -> dict[str, ReportedTrial | None]:
        """What is said of versions on trial now, by deployment."""
        desired, measuring = self._following.desired, self._device.measuring
        return {
            target.name: self._telling.told(
                target, trial_reported(target, actual, measuring.of(target.name, target.digest))
            )
            for target in (() if desired is None else desired.deployments)
        }

    def _node(self) -> NodeId:
        return NodeId("") if self._belonging.identity is None else self._belonging.identity.node
