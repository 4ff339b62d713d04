"""What a node says of itself (hello, presence, reported state, progress), and the acknowledgement that it waits for."""

from typing import Literal

import msgspec

from protos.digest import Digest
from protos.evidence import ReportedShadow, ReportedTrial
from protos.identity import NodeId, StreamId

LiveWay = Literal["relayed", "direct", "site", "off"]
"""Who publishes a node's live results, and where: the coordinator from the durable ones that it commits; the node at
the coordinator's broker; the node at the site's own broker; nobody."""


class EgressPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the node's own configuration keeps from leaving, beyond the egress contract."""

    live: bool = True
    metrics: bool = True
    tensor_bytes: int | None = None
    max_kbit_s: float | None = None


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the device is and has."""

    hostname: str = ""
    machine: str = ""
    cores: int = 0
    memory_mb: int = 0
    agent_version: str = ""
    engines: dict[str, str] = {}
    """engine name → version"""
    sources: tuple[str, ...] = ()
    """the names of the sources that the node's configuration has"""
    sandbox: str = ""
    """what confines the processes that open models, and what does not; one line"""
    egress: EgressPolicy = EgressPolicy()
    live: str = ""
    """a `LiveWay`; empty of an agent that does not say, and publishes them itself"""
    timezone: str = ""
    """of the device, an IANA name; empty where it is not known"""
    disk_free_mb: int = 0
    """where bundles are kept, when the node connected; 0 of an agent that does not say"""


class Status(msgspec.Struct, frozen=True):
    """Presence. The will carries the same connection id as the online message that it ends."""

    state: Literal["online", "offline"]
    connection: str


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sent on every connect: what the node holds, so that the coordinator can repair what was lost."""

    node: NodeId
    connection: str
    agent_version: str
    facts: Facts
    desired_digest: Digest | None
    epoch: int
    revision: int
    stream: StreamId
    last_seq: int


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a variant did on this device. `agreement` is in the unit of the manifest's `agree`."""

    status: Literal["proven", "unproven", "refused"]
    vectors: int = 0
    agreement: float | None = None
    p95_ms: float | None = None


class ReportedDeployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment as it stands on the node."""

    name: str
    model: str
    version: int
    digest: Digest
    phase: Literal["pending", "running", "failed"]
    reason: str = ""
    """what it waits for, or why it failed; one line"""
    variant: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    accelerator: str | None = None
    proof: Proof | None = None
    serving_version: int | None = None
    """the version whose results leave now; the last good one while another is being prepared"""
    offered_version: int | None = None
    """the version that clients of the node are answered by, None where none are"""
    trial: ReportedTrial | None = None
    shadow: ReportedShadow | None = None


class Reported(msgspec.Struct, frozen=True, omit_defaults=True):
    """What runs, with proof. No progress: that has its own topic and is not retained."""

    node: NodeId
    epoch: int
    revision: int
    desired_digest: Digest | None
    at: str
    deployments: tuple[ReportedDeployment, ...] = ()
    refusal: str = ""
    """why the newest document was not adopted, or empty"""
    trust_root: int = 0
    """the number of the newest trust root that the node has followed; 0: none, or an agent that does not say"""


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step under way."""

    deployment: str
    step: str
    done: int = 0
    total: int = 0
    reason: str = ""


class Acked(msgspec.Struct, frozen=True):
    """Every result of the stream up to and with `through` is committed. Signed; computed in the commit itself."""

    node: NodeId
    stream: StreamId
    through: int
    at: str = ""
    """when, RFC 3339; a node without a clock learns from it that it is later now"""
