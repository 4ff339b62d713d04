"""The fields that may leave a node, message by message: the allow-list of the egress contract.

A field of a message that is missing here does not leave, whatever the struct that makes the message says; a test
compares the two, so that a new field leaves only after somebody has written it down here. Every text has a greatest
length and every list a greatest number of items. There is no field of bytes. What is checked with these, and when, is
`egress.py`.
"""

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

MOST_OUTPUTS = 256
"""Outputs of one result."""
MOST_VALUES = 16_384
"""Values of one tensor."""
MOST_DEPLOYMENTS = 256
MOST_LINES = 200
LONGEST_LINE = 500
MOST_EVENTS = 4096
"""Events of one message."""

Id = Annotated[str, Meta(max_length=32)]
Name = Annotated[str, Meta(max_length=63)]
Digest = Annotated[str, Meta(max_length=71)]
Time = Annotated[str, Meta(max_length=40)]
Word = Annotated[str, Meta(max_length=64)]
"""A version, a unit, a hostname, a urn."""
Label = Annotated[str, Meta(max_length=160)]
"""The longest of ImageNet has 121 characters."""
Line = Annotated[str, Meta(max_length=LONGEST_LINE)]
"""A line for people."""
Topic = Annotated[str, Meta(max_length=400)]

O_co = TypeVar("O_co", covariant=True)


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Only the fields that are named, each of its type and size."""


class Status(Allowed, frozen=True):
    """Presence."""

    state: Literal["online", "offline"]
    connection: Id


class EgressPolicy(Allowed, frozen=True):
    """What the node's own configuration holds back."""

    live: bool = True
    metrics: bool = True
    tensor_bytes: int | None = None
    max_kbit_s: float | None = None


class Facts(Allowed, frozen=True):
    """What the device is and has."""

    hostname: Annotated[str, Meta(max_length=253)] = ""
    machine: Word = ""
    cores: int = 0
    memory_mb: int = 0
    agent_version: Word = ""
    engines: Annotated[dict[Word, Word], Meta(max_length=16)] = {}
    sources: Annotated[tuple[Name, ...], Meta(max_length=256)] = ()
    sandbox: Line = ""
    egress: EgressPolicy = EgressPolicy()
    live: Word = ""
    timezone: Word = ""
    disk_free_mb: int = 0


class Hello(Allowed, frozen=True):
    """What the node holds, on every connect."""

    node: Id
    connection: Id
    agent_version: Word
    facts: Facts
    desired_digest: Digest | None
    epoch: int
    revision: int
    stream: Id
    last_seq: int


class Reply(Allowed, frozen=True):
    """The answer to a command."""

    node: Id
    nonce: Id
    ok: bool
    lines: Annotated[tuple[Line, ...], Meta(max_length=MOST_LINES)] = ()


class Proof(Allowed, frozen=True):
    """How a variant did on this device."""

    status: Literal["proven", "unproven", "refused"]
    vectors: int = 0
    agreement: float | None = None
    p95_ms: float | None = None


class Evidence(Allowed, frozen=True):
    """Counts and histograms of one slice; no answer, and of classes no more than their names."""

    pipeline: Annotated[str, Meta(max_length=63)] = ""
    shift: Annotated[str, Meta(max_length=63)] = ""
    samples: int = 0
    errors: int = 0
    latency: Annotated[dict[int, int], Meta(max_length=600)] = {}
    confidence: Annotated[tuple[int, ...], Meta(max_length=20)] = ()
    classes: Annotated[dict[Label, int], Meta(max_length=65)] = {}
    compared: int = 0
    agreed: int = 0
    distance: float = 0.0


Slices = Annotated[tuple[Evidence, ...], Meta(max_length=64)]


class ReportedTrial(Allowed, frozen=True):
    """How a version on trial does."""

    rollout: Name
    attempt: int
    state: Literal["on", "passed", "returned"]
    since: Time = ""
    reason: Line = ""
    restarts: int = 0
    memory_mb: float = 0.0
    fell: Line = ""
    evidence: Slices = ()
    reference: Slices = ()


class ReportedShadow(Allowed, frozen=True):
    """How a candidate does beside the current version."""

    rollout: Name
    attempt: int
    state: Literal["pending", "on", "failed"]
    since: Time = ""
    reason: Line = ""
    memory_mb: float = 0.0
    left_out: int = 0
    evidence: Slices = ()
    reference: Slices = ()


class ReportedDeployment(Allowed, frozen=True):
    """One deployment as it stands on the node."""

    name: Name
    model: Name
    version: int
    digest: Digest
    phase: Literal["pending", "running", "failed"]
    reason: Line = ""
    variant: Annotated[str, Meta(max_length=255)] | None = None
    engine: Word | None = None
    engine_version: Word | None = None
    accelerator: Word | None = None
    proof: Proof | None = None
    serving_version: int | None = None
    offered_version: int | None = None
    trial: ReportedTrial | None = None
    shadow: ReportedShadow | None = None


class Reported(Allowed, frozen=True):
    """What runs, with proof."""

    node: Id
    epoch: int
    revision: int
    desired_digest: Digest | None
    at: Time
    deployments: Annotated[tuple[ReportedDeployment, ...], Meta(max_length=MOST_DEPLOYMENTS)] = ()
    refusal: Line = ""
    trust_root: int = 0


class Progress(Allowed, frozen=True):
    """A step under way."""

    deployment: Name
    step: Word
    done: int = 0
    total: int = 0
    reason: Line = ""


class Metrics(Allowed, frozen=True):
    """Counters."""

    at: Time
    started: Time
    edge_ingress_bytes_total: Annotated[dict[Name, int], Meta(max_length=256)] = {}
    edge_source_bytes_total: int = 0
    edge_egress_bytes_total: Annotated[dict[Word, int], Meta(max_length=32)] = {}
    edge_egress_refused_total: Annotated[dict[Word, int], Meta(max_length=32)] = {}
    edge_inferences_total: Annotated[dict[Name, int], Meta(max_length=256)] = {}
    edge_outbox_depth: int = 0
    edge_outbox_oldest_seconds: float = 0.0
    edge_outbox_dropped_total: Annotated[dict[Word, int], Meta(max_length=32)] = {}
    edge_desired_revision: int = 0


class Request(Allowed, frozen=True):
    """What a node says of itself in a request over gRPC; keys, certificates and tokens are beside it."""

    name: Name
    site: Name
    labels: Annotated[dict[Name, Name], Meta(max_length=64)]
    facts: Facts


class Classified(Allowed, frozen=True):
    """One class."""

    label: Label
    score: float
    index: int


class Detected(Allowed, frozen=True):
    """One object."""

    label: Label
    score: float
    box: tuple[float, float, float, float]


class Anomaly(Allowed, frozen=True):
    """A reconstruction error."""

    score: float
    threshold: float | None = None
    anomalous: bool | None = None


class Tensor(Allowed, frozen=True):
    """Values, only where the deployment declares them."""

    name: Label
    shape: Annotated[tuple[int, ...], Meta(max_length=8)]
    values: Annotated[tuple[float, ...], Meta(max_length=MOST_VALUES)]


class Frame(Allowed, frozen=True):
    """The size of the frame that was looked at."""

    width: int
    height: int


class LatencyMs(Allowed, frozen=True):
    """Where the time went."""

    queue: float
    preprocess: float
    infer: float
    postprocess: float


class Data(Allowed, Generic[O_co], frozen=True):
    """The `data` of a result."""

    node: Id
    site: Name
    name: Name
    pipeline: Name
    stream: Id
    seq: int
    model: Name
    version: int
    digest: Digest
    engine: Word
    accelerator: Word
    captured_at: Time
    clock: Literal["synced", "unsynced"]
    late: bool
    latency_ms: LatencyMs
    outputs: Annotated[tuple[O_co, ...], Meta(max_length=MOST_OUTPUTS)]
    stream_time_s: float | None = None
    frame: Frame | None = None


class Dropped(Allowed, frozen=True):
    """The `data` of a tombstone."""

    node: Id
    stream: Id
    first: int
    seq: int
    count: int
    reason: Word


class Event(Allowed, frozen=True, tag_field="type"):
    """A CloudEvent; its `type` says what its data may be."""

    id: Annotated[str, Meta(max_length=64)]
    source: Topic
    time: Time
    specversion: Literal["1.0"]
    datacontenttype: Literal["application/json"]


class Classification(Event, frozen=True, kw_only=True, tag="inference.classification.v1"):
    """A result of a classifier."""

    dataschema: Word
    data: Data[Classified]


class Detection(Event, frozen=True, kw_only=True, tag="inference.detection.v1"):
    """A result of a detector."""

    dataschema: Word
    data: Data[Detected]


class AnomalyScore(Event, frozen=True, kw_only=True, tag="inference.anomaly.v1"):
    """A result of an anomaly model."""

    dataschema: Word
    data: Data[Anomaly]


class Tensors(Event, frozen=True, kw_only=True, tag="inference.tensor.v1"):
    """Raw outputs."""

    dataschema: Word
    data: Data[Tensor]


class Tombstone(Event, frozen=True, kw_only=True, tag="nearfield.tombstone.v1"):
    """A counted hole."""

    data: Dropped


Result = Classification | Detection | AnomalyScore | Tensors
"""What may be live."""
AnyEvent = Classification | Detection | AnomalyScore | Tensors | Tombstone
Durable = Annotated[tuple[AnyEvent, ...], Meta(min_length=1, max_length=MOST_EVENTS)]
"""What may be durable."""
