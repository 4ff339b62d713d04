"""JSON Schemas of the results, an AsyncAPI 3 document of every topic and an OpenAPI 3.1 document of REST, generated.

    python -m protos.schemas --write docs     write docs/schemas/*.json, docs/asyncapi.json and docs/openapi.json
    python -m protos.schemas docs             compare, exit 1 on drift

One source: a field that is added to a struct appears in both by itself.
"""

import argparse
import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from protos.command import Command, Reply
from protos.desired import Desired
from protos.envelope import Envelope
from protos.inference.openapi import openapi
from protos.metrics import Metrics
from protos.reported import Acked, Hello, Progress, Reported, Status
from protos.result import BATCH_TYPE, JSON_TYPE, OUTPUT_OF_TASK, Event, Tombstone, event_type, schema_urn
from protos.topics import DEFAULT_PREFIX, DELIVERY, FROM_COORDINATOR, MAX_PAYLOAD, NAMED, Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "asyncapi.json"
OPENAPI = "openapi.json"
REF = "#/components/schemas/{name}"

SUMMARIES = {
    Kind.STATUS: "Presence; the last will says offline with the same connection id.",
    Kind.HELLO: "On every connect: what the node is and holds.",
    Kind.DESIRED: "What the node should run: a signed document.",
    Kind.REPORTED: "What runs, with proof.",
    Kind.PROGRESS: "Steps under way.",
    Kind.DURABLE: "Results and tombstones in the order of their stream, one or many in an array; plain, or in zlib's "
    "format with the dictionary of protos/packing.py.",
    Kind.ACKED: "Signed: everything of a stream through a number is committed.",
    Kind.ALERTS: "Reserved: drift, latency, errors, accelerator lost, disk.",
    Kind.METRICS: "Every half minute: what the node counts, under the names of the Prometheus metrics.",
    Kind.COMMANDS: "Signed: an order for this node, once, with an expiry.",
    Kind.REPLIES: "The answer to a command: short lines of text.",
}
PAYLOADS: dict[Kind, type] = {
    Kind.STATUS: Status,
    Kind.HELLO: Hello,
    Kind.DESIRED: Envelope,
    Kind.REPORTED: Reported,
    Kind.PROGRESS: Progress,
    Kind.ACKED: Envelope,
    Kind.METRICS: Metrics,
    Kind.COMMANDS: Envelope,
    Kind.REPLIES: Reply,
}
"""The document of a topic; a topic without one here takes any JSON object."""
SIGNED: dict[Kind, type] = {Kind.DESIRED: Desired, Kind.ACKED: Acked, Kind.COMMANDS: Command}
"""What is inside an envelope, as base64 of JSON."""

_ANY_OBJECT = {"type": "object"}


def result_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each task's results and of tombstones, by file name."""
    events = {task: Event[output] for task, output in OUTPUT_OF_TASK.items()}  # type: ignore[valid-type]
    schemas = {
        f"{task}.json": {"$schema": DIALECT, "$id": schema_urn(task), **msgspec.json.schema(event), **_of_task(task)}
        for task, event in events.items()
    }
    identity = {"$schema": DIALECT, "$id": "urn:nearfield:tombstone:1"}
    return {**schemas, "tombstone.json": {**identity, **msgspec.json.schema(Tombstone)}}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0.0 document of all topics below the default prefix."""
    channels = {**_control_channels(), **_live_channels()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nearfield over MQTT",
            "version": "1.0.0",
            "description": f"Any MQTT 3.1.1 broker. No message is larger than {MAX_PAYLOAD} bytes.",
        },
        "defaultContentType": JSON_TYPE,
        "channels": {name: channel for name, (channel, _) in channels.items()},
        "operations": {name: operation for name, (_, operation) in channels.items()},
        "components": {"schemas": _components()},
    }


def _control_channels() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    return {kind.value: _control(kind) for kind in Kind}


def _control(kind: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
    address = f"{DEFAULT_PREFIX}/nodes/{{node}}/{kind}" + ("/{name}" if kind in NAMED else "")
    sender = "coordinator" if kind in FROM_COORDINATOR else "node"
    delivery = DELIVERY[kind]
    payload = _durable() if kind is Kind.DURABLE else _reference(kind)
    content = BATCH_TYPE if kind is Kind.DURABLE else JSON_TYPE
    message: dict[str, Any] = {"contentType": content, "payload": payload}
    if kind in SIGNED:
        message["x-signed-payload"] = {"$ref": REF.format(name=SIGNED[kind].__name__)}
    return _channel(kind.value, address, SUMMARIES[kind], message, sender, (delivery.qos, delivery.retain))


def _reference(kind: Kind) -> dict[str, Any]:
    payload = PAYLOADS.get(kind)
    return dict(_ANY_OBJECT) if payload is None else {"$ref": REF.format(name=payload.__name__)}


def _durable() -> dict[str, Any]:
    return {
        "type": "array",
        "minItems": 1,
        "items": {"oneOf": [*_result_references(), {"$ref": REF.format(name="Tombstone")}]},
    }


def _result_references() -> list[dict[str, str]]:
    return [{"$ref": REF.format(name=_name(task))} for task in OUTPUT_OF_TASK]


def _live_channels() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    pipeline = f"{DEFAULT_PREFIX}/live/{{site}}/{{node}}/{{pipeline}}"
    availability = f"{DEFAULT_PREFIX}/live/{{site}}/{{node}}/availability"
    result = {"contentType": JSON_TYPE, "payload": {"oneOf": _result_references()}}
    value = {"contentType": "text/plain", "payload": {"type": ["string", "number", "boolean"]}}
    presence = {"contentType": "text/plain", "payload": {"enum": ["online", "offline"]}}
    return {
        "live": _channel(
            "live",
            pipeline,
            "Fresh results, one per message; never replayed.",
            result,
            "coordinator, or by the node itself",
            (0, False),
        ),
        "liveState": _channel(
            "liveState",
            f"{pipeline}/{{state}}",
            "A small last value: count, label or present.",
            value,
            "node",
            (1, True),
        ),
        "availability": _channel(
            "availability", availability, "Whether the node is there.", presence, "node", (1, True)
        ),
    }


def _channel(
    name: str, address: str, summary: str, message: dict[str, Any], sender: str, delivery: tuple[int, bool]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A channel, and the operation of who sends on it."""
    places = [part[1:-1] for part in address.split("/") if part.startswith("{")]
    qos, retain = delivery
    channel = {
        "address": address,
        "summary": summary,
        "parameters": {place: {} for place in places},
        "messages": {name: {"name": name, **message}},
    }
    operation = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": f"Sent by the {sender}.",
        "bindings": {"mqtt": {"qos": qos, "retain": retain, "bindingVersion": "0.2.0"}},
    }
    return channel, operation


def _components() -> dict[str, Any]:
    documents = [*PAYLOADS.values(), *SIGNED.values(), Tombstone]
    events = {task: Event[output] for task, output in OUTPUT_OF_TASK.items()}  # type: ignore[valid-type]
    kinds = [*dict.fromkeys(documents), *events.values()]
    references, components = msgspec.json.schema_components(kinds, ref_template=REF)
    results = zip(events, references[-len(events) :], strict=True)
    aliases = {_name(task): {"allOf": [reference], **_of_task(task)} for task, reference in results}
    return dict(sorted({**components, **aliases}.items()))


def _of_task(task: str) -> dict[str, Any]:
    """What tells a task's events from another's."""
    return {"properties": {"type": {"const": event_type(task)}, "dataschema": {"const": schema_urn(task)}}}


def _name(task: str) -> str:
    return f"Result{task.capitalize()}"


def documents() -> dict[str, bytes]:
    """Every generated file, by its path below the documentation's folder."""
    schemas = {f"schemas/{name}": schema for name, schema in result_schemas().items()}
    return {name: _pretty(document) for name, document in {**schemas, ASYNCAPI: asyncapi(), OPENAPI: openapi()}.items()}


def _pretty(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_dedented(document)), indent=2) + b"\n"


def _dedented(part: Any) -> Any:
    """The document with docstrings as Python 3.13 has them: without the indentation of their source."""
    if isinstance(part, dict):
        return {key: _dedented(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_dedented(value) for value in part]
    return inspect.cleandoc(part) if isinstance(part, str) else part


def drifted(folder: Path) -> list[str]:
    """The files below the folder that are not what would be generated, or should not be there."""
    fresh = documents()
    present = {f"schemas/{file.name}" for file in (folder / "schemas").glob("*.json")}
    changed = (
        name for name, text in fresh.items() if not (folder / name).is_file() or (folder / name).read_bytes() != text
    )
    return sorted({*changed, *(present - fresh.keys())})


def write(folder: Path) -> None:
    """Write every generated file below the folder, and remove schemas that are no longer made."""
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    for name in drifted(folder):
        (folder / name).unlink(missing_ok=True)
    for name, text in documents().items():
        (folder / name).write_bytes(text)


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m protos.schemas", description="JSON Schemas, AsyncAPI and OpenAPI documents."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.folder)
        return 0
    names = drifted(arguments.folder)
    if names:
        print(
            f"generated documents differ, run python -m protos.schemas --write docs: {', '.join(names)}",
            file=sys.stderr,
        )
    return bool(names)


if __name__ == "__main__":
    raise SystemExit(main())
