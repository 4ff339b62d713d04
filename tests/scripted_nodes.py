"""Nodes that do what a script says: real identities and MQTT, but nothing runs; for tests of what a coordinator does.

node = await scripted(coordinator, "cam-1", good)
node.document.deployments        # the newest desired document that it has heard
await node.stop()
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from coordinator.app import Coordinator
from coordinator.cli.secret_file import write_secret
from protos.broker_url import parse_broker_url
from protos.desired import Desired, DesiredDeployment, state_digest
from protos.digest import Digest
from protos.envelope import DESIRED, unverified
from protos.evidence import Evidence, ReportedShadow, ReportedTrial, bucket_of
from protos.identity import NodeId, stream_id
from protos.moments import rfc3339
from protos.reported import Facts, Hello, Proof, Reported, ReportedDeployment, Status
from protos.topics import Kind, Topics
from tests.coordinators import EnrolledNode, enrolled, registered

TOPICS = Topics()
FACTS = Facts(machine="aarch64", cores=4, memory_mb=8192, engines={"stub": "1"}, sources=("shelf",), disk_free_mb=1000)
Script = Callable[[DesiredDeployment], ReportedDeployment]
"""What a node says of a deployment that it should run."""


def evidence(samples: int = 200, errors: int = 0, latency_ms: float = 5.0, compared: int = 0) -> Evidence:
    """Answers to the pipeline `shelf`; all that are compared agree."""
    latency = {bucket_of(latency_ms): samples}
    return Evidence("shelf", "", samples, errors, latency, compared=compared, agreed=compared)


def running(wanted: DesiredDeployment, **changes: object) -> ReportedDeployment:
    """It runs what it should."""
    said = ReportedDeployment(
        name=wanted.name,
        model=wanted.model,
        version=wanted.version,
        digest=wanted.digest,
        phase="running",
        variant="m.onnx",
        engine="stub",
        proof=Proof("proven", 1, 1.0, 4.5),
        serving_version=wanted.version,
    )
    return msgspec.structs.replace(said, **changes)


def good(wanted: DesiredDeployment, seen: Evidence | None = None) -> ReportedDeployment:
    """Every version passes its probation at once; a shadow agrees."""
    trial = shadow = None
    if wanted.trial is not None:
        of = wanted.trial
        trial = ReportedTrial(of.rollout, of.attempt, "passed", evidence=(seen or evidence(),), reference=(evidence(),))
    if wanted.shadow is not None:
        beside = seen or evidence(compared=200)
        shadow = ReportedShadow(
            wanted.shadow.rollout, wanted.shadow.attempt, "on", evidence=(beside,), reference=(evidence(),)
        )
    return running(wanted, trial=trial, shadow=shadow)


def returning(wanted: DesiredDeployment) -> ReportedDeployment:
    """What is on trial fails, and the node goes back by itself."""
    if wanted.trial is None:
        return good(wanted)
    of = wanted.trial
    trial = ReportedTrial(of.rollout, of.attempt, "returned", reason="3 of 10 frames without an answer")
    return running(wanted, phase="failed", reason=trial.reason, trial=trial, serving_version=wanted.version - 1)


def undecided(wanted: DesiredDeployment) -> ReportedDeployment:
    """What is on trial stays on trial."""
    if wanted.trial is None:
        return good(wanted)
    return running(wanted, trial=ReportedTrial(wanted.trial.rollout, wanted.trial.attempt, "on"))


class ScriptedNode:
    """One node; `versions` are those that its documents have named, each change once."""

    def __init__(self, itself: EnrolledNode, script: Script) -> None:
        self.id: NodeId = itself.id
        self.script = script
        self.document: Desired | None = None
        self.versions: list[int] = []
        self.trials: list[tuple[str, int]] = []
        self._digest: Digest | None = None
        self._connection = f"c-{itself.id[:8]}"
        self._client = Client(CallbackAPIVersion.VERSION2)

    def connect(self, coordinator: Coordinator, itself: EnrolledNode, folder: Path) -> None:
        """Begin to connect."""
        login = folder / f"{self.id}.pem"
        write_secret(login, itself.credential.pem)
        client = self._client
        client.tls_set(str(coordinator.folder.authorities), str(login), str(login))
        client.tls_insecure_set(True)  # the broker's name is checked by the tests of the link
        status = TOPICS.of_node(self.id, Kind.STATUS)
        client.will_set(status, msgspec.json.encode(Status("offline", self._connection)), 1, retain=True)
        client.on_connect = lambda *_: self._connected()
        client.on_message = lambda _client, _data, message: self._heard(message)
        broker = parse_broker_url(coordinator.broker_url)
        client.connect_async(broker.host, broker.port)
        client.loop_start()

    def report(self) -> None:
        """Say how everything stands."""
        document = self.document
        if document is None:
            return
        said = tuple(self.script(wanted) for wanted in document.deployments)
        at = rfc3339(datetime.now(UTC))
        reported = Reported(self.id, document.epoch, document.revision, self._digest, at, said)
        self._publish(Kind.REPORTED, msgspec.json.encode(reported), retain=True)

    async def stop(self) -> None:
        """Go away without a word."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._publish(Kind.STATUS, msgspec.json.encode(Status("offline", self._connection)), retain=True)
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self) -> None:
        self._client.subscribe(TOPICS.of_node(self.id, Kind.DESIRED), 1)
        self._publish(Kind.STATUS, msgspec.json.encode(Status("online", self._connection)), retain=True)
        document = self.document
        epoch, revision = (document.epoch, document.revision) if document else (1, 0)
        hello = Hello(self.id, self._connection, "0", FACTS, self._digest, epoch, revision, stream_id(bytes(16)), 0)
        self._publish(Kind.HELLO, msgspec.json.encode(hello), retain=False)

    def _heard(self, message: MQTTMessage) -> None:
        if not message.payload:
            return
        payload = unverified(bytes(message.payload), DESIRED)
        document = msgspec.json.decode(payload, type=Desired)
        if self.document is not None and document.revision <= self.document.revision:
            return
        self.document, self._digest = document, state_digest(payload)
        self._note(document)
        self.report()

    def _note(self, document: Desired) -> None:
        for wanted in document.deployments:
            if self.versions[-1:] != [wanted.version]:
                self.versions.append(wanted.version)
            if wanted.trial is not None and (wanted.trial.rollout, wanted.trial.attempt) not in self.trials:
                self.trials.append((wanted.trial.rollout, wanted.trial.attempt))

    def _publish(self, kind: Kind, payload: bytes, *, retain: bool) -> None:
        self._client.publish(TOPICS.of_node(self.id, kind), payload, 1, retain=retain)


async def scripted(
    coordinator: Coordinator, name: str, folder: Path, script: Script = good, site: str = "store-12"
) -> ScriptedNode:
    """A node that has enrolled and connects."""
    itself = await enrolled(coordinator, name, site)
    await registered(coordinator, itself, facts_json=msgspec.json.encode(FACTS).decode())
    node = ScriptedNode(itself, script)
    node.connect(coordinator, itself, folder)
    return node
