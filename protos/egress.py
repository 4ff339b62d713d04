"""The egress contract: what may leave a node, as data, and whether a message keeps it. Pure.

    refusal = check(Leaving.DURABLE, payload, declared)        None, or why the message may not leave

Every message has one of the kinds below. A kind names its fields (`egress_fields`), each with a type and a greatest
size, and the greatest size of a message. Whatever is not named does not leave: images and audio have no field. Tensors
leave only from pipelines whose deployment declares them, and not more bytes of a result than it says.

What this cannot prevent is a model that hides something in its scores: that is bounded by the sizes here, and by
`max_kbit_s` in the node's configuration. Where it is applied is `edge_node/link/gate.py`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from protos import egress_fields as fields
from protos.deployment import Egress, Pipeline
from protos.topics import LIVE_STATES, MAX_PAYLOAD, Kind, Topics

Declared = Callable[[str], Egress]
"""What the deployment of a pipeline declares, by the pipeline's name."""

NOTHING_DECLARED = Egress()


class Leaving(StrEnum):
    """The kinds of what leaves a node."""

    STATUS = "status"
    HELLO = "hello"
    REPORTED = "reported"
    PROGRESS = "progress"
    DURABLE = "durable"
    ALERTS = "alerts"
    METRICS = "metrics"
    REPLIES = "replies"
    LIVE = "live"
    LIVE_STATE = "live_state"
    AVAILABILITY = "availability"
    HOMEASSISTANT = "homeassistant"
    REQUEST = "request"


@dataclass(frozen=True)
class Refusal:
    """Why a message may not leave: a word to count by, and a line for people."""

    reason: str
    line: str


@dataclass(frozen=True)
class Allowance:
    """What a kind may hold: JSON of a type of `egress_fields`, or plain text that a pattern matches whole."""

    max_bytes: int
    what: Any = None
    text: str = ""
    may_be_empty: bool = False
    """an empty retained message deletes the one before"""


CONTRACT: Mapping[Leaving, Allowance] = MappingProxyType(
    {
        Leaving.STATUS: Allowance(256, fields.Status),
        Leaving.HELLO: Allowance(32 * 1024, fields.Hello),
        Leaving.REPORTED: Allowance(MAX_PAYLOAD, fields.Reported),
        Leaving.PROGRESS: Allowance(1024, fields.Progress),
        Leaving.DURABLE: Allowance(MAX_PAYLOAD, fields.Durable),
        Leaving.METRICS: Allowance(16 * 1024, fields.Metrics),
        Leaving.REPLIES: Allowance(32 * 1024, fields.Reply),
        Leaving.LIVE: Allowance(MAX_PAYLOAD, fields.Result),
        Leaving.LIVE_STATE: Allowance(160, text=r"[^\x00-\x1f\x7f]{1,160}", may_be_empty=True),
        Leaving.AVAILABILITY: Allowance(16, text="online|offline", may_be_empty=True),
        Leaving.REQUEST: Allowance(32 * 1024, fields.Request),
    }
)
"""A kind that is not here is reserved: nothing of it leaves yet."""

SIGNATURES = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "SUkqA", "TU0AK", "T2dnU", "data:image", "data:audio")
"""How texts begin that are images or sound in base64: JPEG, PNG, GIF, RIFF (WebP, WAV), TIFF, Ogg; data URLs."""

RAW = frozenset({"tensor", "embedding"})
"""Tasks whose outputs are values of the model instead of findings."""

_SIGNED = re.compile(b'"(?:' + b"|".join(re.escape(head.encode()) for head in SIGNATURES) + b")")
_DECODERS = {kind: msgspec.json.Decoder(allowed.what) for kind, allowed in CONTRACT.items() if allowed.what is not None}
_TEXTS = {kind: re.compile(allowed.text) for kind, allowed in CONTRACT.items() if allowed.text}
_encode = msgspec.json.Encoder().encode


def check(kind: Leaving, payload: bytes, declared: Declared = lambda _: NOTHING_DECLARED) -> Refusal | None:
    """Why a message may not leave, None where it may."""
    allowed = CONTRACT.get(kind)
    if allowed is None:
        return Refusal("reserved", f"nothing of the kind {kind} leaves yet")
    if len(payload) > allowed.max_bytes:
        return Refusal("too_large", f"{len(payload)} bytes of the kind {kind}: at most {allowed.max_bytes} leave")
    if not payload and allowed.may_be_empty:
        return None
    return _check_text(kind, payload) if kind in _TEXTS else _check_json(kind, payload, declared)


def check_request(name: str, site: str, labels: Mapping[str, str], facts_json: str) -> Refusal | None:
    """Why a node may not say this of itself in a request over gRPC, None where it may. Files and keys are beside it."""
    said = {"name": name, "site": site, "labels": labels, "facts": msgspec.Raw(facts_json.encode())}
    return check(Leaving.REQUEST, _encode(said))


def undeclared(task: str, pipeline: Pipeline) -> str | None:
    """Why nothing of a pipeline could leave, for a model of a task: it gives raw outputs, and they are not declared."""
    if task not in RAW or getattr(pipeline.egress, task) is not None:
        return None
    return (
        f"pipeline {pipeline.name!r}: the model's outputs are raw ({task}), and those leave only where the deployment "
        f"declares them: add egress: {{ {task}: BYTES }} to the pipeline"
    )


def kind_of(topic: str, topics: Topics) -> Leaving | None:
    """The kind of a topic that a node may write, None where there is none."""
    parsed = topics.parse(topic)
    if parsed is not None:
        return Leaving(parsed.kind) if parsed.kind in _KINDS else None
    head = f"{topics.prefix}/live/"
    match topic.removeprefix(head).split("/") if topic.startswith(head) else []:
        case [_, _, "availability"]:
            return Leaving.AVAILABILITY
        case [_, _, _]:
            return Leaving.LIVE
        case [_, _, _, state] if state in LIVE_STATES:
            return Leaving.LIVE_STATE
    return None


_KINDS = frozenset(kind for kind in Kind if kind.value in Leaving.__members__.values())


def _check_text(kind: Leaving, payload: bytes) -> Refusal | None:
    try:
        fits = _TEXTS[kind].fullmatch(payload.decode()) is not None
    except UnicodeDecodeError:
        fits = False
    return None if fits else Refusal("not_allowed", f"a text of the kind {kind} that the egress contract does not name")


def _check_json(kind: Leaving, payload: bytes, declared: Declared) -> Refusal | None:
    try:
        message = _DECODERS[kind].decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Refusal("not_allowed", f"a message of the kind {kind} breaks the egress contract: {error!s:.200}")
    if kind is Leaving.DURABLE:
        return next(filter(None, (_check_event(event, declared) for event in message)), None)
    if kind is Leaving.LIVE:
        return _check_event(message, declared)
    return _MEDIA if _SIGNED.search(payload) else None


def _check_event(event: fields.AnyEvent, declared: Declared) -> Refusal | None:
    """Labels are all the free text that an event has: looking at those alone costs a tenth of looking at all of it."""
    if type(event) is fields.Tensors:
        return _check_tensors(event, declared)
    if type(event) is fields.Classification or type(event) is fields.Detection:
        for output in event.data.outputs:
            if output.label.startswith(SIGNATURES):
                return _MEDIA
    return None


_MEDIA = Refusal("media", "a text begins like an image or sound in base64: neither leaves")


def _check_tensors(event: fields.Tensors, declared: Declared) -> Refusal | None:
    pipeline, most = event.data.pipeline, declared(event.data.pipeline).tensor
    if most is None:
        return Refusal("undeclared", f"pipeline {pipeline!r} gives tensors and its deployment declares none (egress)")
    size = len(_encode(event.data.outputs))
    if size > most:
        return Refusal("undeclared", f"pipeline {pipeline!r}: tensors of {size} bytes, its deployment declares {most}")
    return None
