"""Messages that must never leave, and ordinary ones that must: what `edge-node egress test` pushes through the gate."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from edge_node.outbox.events import Draft, PipelineContext, encode_result
from edge_node.pipeline.observation import Observation
from protos.command import Reply
from protos.digest import digest_of
from protos.egress import CONTRACT, Leaving
from protos.identity import NodeId, StreamId
from protos.metrics import Metrics
from protos.reported import Facts, Hello, Progress, Reported, Status
from protos.result import Classified, Frame, LatencyMs, Output, Tensor
from protos.topics import Kind, Topics

NODE, STREAM = NodeId("0" * 32), StreamId("0" * 32)
SITE, NAME, PIPELINE = "site", "node", "canary"
NONCE = "0" * 32
CANARY_TIME = "2026-05-01T10:00:00.000Z"


@dataclass(frozen=True)
class Canary:
    """A message, and whether the contract lets it leave."""

    name: str
    topic: str
    payload: bytes
    may_leave: bool = False


def canaries(topics: Topics) -> Iterator[Canary]:
    """What must not leave, on every way that there is."""
    jpeg, pixels = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + _noise(4000), _noise(64 * 64 * 3)
    sound = b"RIFF" + (36 + 8000).to_bytes(4, "little") + b"WAVEfmt " + _noise(8000)
    for name, content in (("a JPEG", jpeg), ("raw pixels", pixels), ("sound", sound)):
        for kind, topic in _ways(topics):
            yield Canary(f"{name} as {kind}", topic, content)
    durable, live = topics.of_node(NODE, Kind.DURABLE), topics.live(SITE, NAME, PIPELINE)
    in_base64 = base64.b64encode(jpeg).decode()
    yield Canary("a picture in base64 as a label", live, _event(_label(in_base64)))
    yield Canary("the beginning of one, as a label", live, _event(_label(in_base64[:100])))
    yield Canary("a picture cut into 300 labels", live, _with_outputs(_event(_label("x" * 13)), 300))
    yield Canary("a huge text as a label", durable, _array(_event(_label("x" * 20_000))))
    yield Canary("a field that no message has", durable, _array(_with_field(_event(_label("cat")))))
    yield Canary("a tensor that nobody declared", durable, _array(_event(_tensor(256))))
    largest = CONTRACT[Leaving.DURABLE].max_bytes
    yield Canary("a message that is too large", durable, b"[" + b" " * largest + b"]")
    yield Canary("a picture on a topic of its own", f"{topics.prefix}/live/{SITE}/{NAME}/{PIPELINE}/frame", jpeg)
    yield Canary("a word on a topic of no node", "camera/raw", b"on")


def ordinary(topics: Topics) -> Iterator[Canary]:
    """What a node says every day: where none of this could leave, refusing everything would be no proof."""
    live = topics.live(SITE, NAME, PIPELINE)
    said: dict[Kind, msgspec.Struct] = {
        Kind.STATUS: Status("online", "c1"),
        Kind.HELLO: Hello(NODE, "c1", "0", Facts(hostname="host"), None, 0, 0, STREAM, 0),
        Kind.REPORTED: Reported(NODE, 0, 0, None, CANARY_TIME),
        Kind.PROGRESS: Progress("deployment", "fetch", 1, 2),
        Kind.METRICS: Metrics(CANARY_TIME, CANARY_TIME),
    }
    for kind, message in said.items():
        yield Canary(str(kind), topics.of_node(NODE, kind), msgspec.json.encode(message), may_leave=True)
    reply = msgspec.json.encode(Reply(NODE, NONCE, True, ("up 3 s",)))
    yield Canary("replies", topics.of_node(NODE, Kind.REPLIES, NONCE), reply, may_leave=True)
    event = _event(_label("cat"))
    yield Canary("durable", topics.of_node(NODE, Kind.DURABLE), _array(event), may_leave=True)
    yield Canary("live", live, event, may_leave=True)
    yield Canary("live_state", f"{live}/label", b"cat", may_leave=True)
    yield Canary("availability", topics.availability(SITE, NAME), b"online", may_leave=True)


def _ways(topics: Topics) -> list[tuple[str, str]]:
    own = [(kind, topics.of_node(NODE, kind)) for kind in (Kind.DURABLE, Kind.HELLO, Kind.METRICS, Kind.STATUS)]
    live = topics.live(SITE, NAME, PIPELINE)
    return [*((str(kind), topic) for kind, topic in own), ("live", live), ("live_state", f"{live}/label")]


def _event(*outputs: Output) -> bytes:
    context = PipelineContext(
        node=NODE,
        site=SITE,
        name=NAME,
        model="model",
        version=1,
        digest=digest_of(b""),
        engine="litert",
        accelerator="cpu",
        topic=f"edge/v1/live/{SITE}/{NAME}/{PIPELINE}",
    )
    seen = Observation(
        pipeline=PIPELINE,
        session="model-1",
        captured_ns=1_777_629_600_000_000_000,
        latency_ms=LatencyMs(0.1, 1.0, 5.0, 0.1),
        task="tensor" if any(isinstance(output, Tensor) for output in outputs) else "classification",
        outputs=outputs,
        frame=Frame(1280, 720),
    )
    return encode_result(Draft(seen, context), STREAM, 1)


def _label(text: str) -> Classified:
    return Classified(text, 0.9, 0)


def _tensor(values: int) -> Tensor:
    return Tensor("output", (1, values), (0.5,) * values)


def _with_field(event: bytes) -> bytes:
    return event.replace(b'"data":{', b'"data":{"thumbnail":"x",', 1)


def _with_outputs(event: bytes, times: int) -> bytes:
    """An event whose output is there so often; the encoder itself would leave out what is too many."""
    document = msgspec.json.decode(event)
    document["data"]["outputs"] *= times
    return msgspec.json.encode(document)


def _array(event: bytes) -> bytes:
    return b"[" + event + b"]"


def _noise(size: int) -> bytes:
    """The same bytes each time, as dense as those of a picture."""
    return hashlib.shake_256(b"canary").digest(size)
