"""Results as they leave a node: CloudEvents 1.0 in structured JSON, one schema per task.

A result's id is `<stream>/<sequence>`. What a node had to drop leaves a tombstone in the same stream, so that the
sequence has no holes: a collector's acknowledgement is one number. Boxes are `[x_min, y_min, x_max, y_max]` in 0..1
of the frame; durations are milliseconds; times are RFC 3339 UTC.
"""

from typing import Generic, Literal, TypeVar

import msgspec

from protos.digest import Digest
from protos.identity import NodeId, StreamId

SPEC_VERSION = "1.0"
JSON_TYPE = "application/json"
BATCH_TYPE = "application/cloudevents-batch+json"
TOMBSTONE = "nearfield.tombstone.v1"


class Classified(msgspec.Struct, frozen=True):
    """One class and its score, 0..1; `index` is the class's position in the output tensor."""

    label: str
    score: float
    index: int


class Detected(msgspec.Struct, frozen=True):
    """One object."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Anomaly(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reconstruction error, and whether it is above the threshold (absent where none is set)."""

    score: float
    threshold: float | None = None
    anomalous: bool | None = None


class Tensor(msgspec.Struct, frozen=True):
    """The raw values of an output, dequantized, flattened in C order."""

    name: str
    shape: tuple[int, ...]
    values: tuple[float, ...]


Output = Classified | Detected | Anomaly | Tensor


class Frame(msgspec.Struct, frozen=True):
    """The size in pixels of the frame that was looked at; never the frame."""

    width: int
    height: int


class LatencyMs(msgspec.Struct, frozen=True):
    """Where the time went. `queue` is from capture to the start of preprocessing and from there to the engine."""

    queue: float
    preprocess: float
    infer: float
    postprocess: float


O_co = TypeVar("O_co", covariant=True)


class Data(msgspec.Struct, Generic[O_co], frozen=True, omit_defaults=True):
    """The `data` of a result event."""

    node: NodeId
    site: str
    name: str
    pipeline: str
    stream: StreamId
    seq: int
    model: str
    version: int
    digest: Digest
    engine: str
    accelerator: str
    captured_at: str
    clock: Literal["synced", "unsynced"]
    late: bool
    latency_ms: LatencyMs
    outputs: tuple[O_co, ...]
    stream_time_s: float | None = None
    frame: Frame | None = None


class Event(msgspec.Struct, Generic[O_co], frozen=True):
    """A result as a CloudEvent; `source` is the live topic of the pipeline."""

    type: str
    id: str
    source: str
    time: str
    dataschema: str
    data: Data[O_co]
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


class Dropped(msgspec.Struct, frozen=True):
    """The `data` of a tombstone: results `first` to `seq` were dropped on the node, `count` of them, and why."""

    node: NodeId
    stream: StreamId
    first: int
    seq: int
    count: int
    reason: str


class Tombstone(msgspec.Struct, frozen=True):
    """A counted hole in a stream, as a CloudEvent."""

    id: str
    source: str
    time: str
    data: Dropped
    type: Literal["nearfield.tombstone.v1"] = "nearfield.tombstone.v1"
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


OUTPUT_OF_TASK: dict[str, type] = {
    "classification": Classified,
    "detection": Detected,
    "anomaly": Anomaly,
    "tensor": Tensor,
}
"""The task in an event's type decides what its outputs are."""


def event_type(task: str) -> str:
    """The CloudEvents type of a task's results."""
    return f"inference.{task}.v1"


def schema_urn(task: str) -> str:
    """The `dataschema` of a task's results."""
    return f"urn:nearfield:{task}:1"


def event_id(stream: StreamId, seq: int) -> str:
    """`<stream>/<sequence>`."""
    return f"{stream}/{seq}"
