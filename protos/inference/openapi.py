"""The OpenAPI 3.1 document of the protocol over HTTP, made from the operations and documents of `rest`.

Answers that are messages of gRPC are described from their descriptors: what REST writes is the same fields as JSON.
"""

from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor

from protos.inference import grpc_service_pb2 as oip
from protos.inference import rest

REF = "#/components/schemas/{name}"
DOCUMENTS = (
    rest.InferenceRequest,
    rest.InferenceAnswer,
    rest.IndexRequest,
    rest.LoadRequest,
    rest.RegisterRequest,
    rest.Refusal,
)
TENSORS = (
    f"JSON alone, or, with the header {rest.HEADER_LENGTH}, that many bytes of JSON and then the tensors that the JSON "
    "calls binary (`binary_data_size`), one after the other."
)
KINDS = {
    "TYPE_BOOL": {"type": "boolean"},
    "TYPE_STRING": {"type": "string"},
    "TYPE_BYTES": {"type": "string"},
    "TYPE_DOUBLE": {"type": "number"},
    "TYPE_FLOAT": {"type": "number"},
}
Schema = dict[str, Any]


def openapi() -> Schema:
    """The document."""
    schemas: dict[str, Schema] = dict(msgspec.json.schema_components(DOCUMENTS, ref_template=REF)[1])
    schemas["InputTensor"]["properties"]["data"] = {
        "type": "array",
        "description": "The elements in row-major order, nested or not; strings for BYTES; FP16 is binary only.",
    }
    paths: dict[str, Schema] = {}
    for operation in rest.OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nearfield: Open Inference Protocol over HTTP",
            "version": "2.0.0",
            "description": "Every answer that is not 2xx is JSON with one field, `error`.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def openapi_json() -> bytes:
    """The document as it is served."""
    return msgspec.json.encode(openapi())


def _operation(operation: rest.Operation, schemas: dict[str, Schema]) -> Schema:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    binary = operation.id == "infer"
    described: Schema = {
        "operationId": "_".join([operation.id, *([] if operation.method == "GET" else ["post"]), *names]),
        "summary": operation.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ],
        "responses": {
            "200": {"description": "Done.", **_content(_answer(operation, schemas), binary=binary)},
            "default": {"description": "Refused.", **_content(_reference(rest.Refusal), binary=False)},
        },
    }
    if operation.body is not None:
        required = operation.body in (rest.InferenceRequest, rest.RegisterRequest)
        described["requestBody"] = {"required": required, **_content(_reference(operation.body), binary=binary)}
    return described


def _content(schema: Schema | None, *, binary: bool) -> Schema:
    if schema is None:
        return {}
    forms: Schema = {"application/json": {"schema": schema}}
    if binary:
        forms["application/octet-stream"] = {"schema": {"description": TENSORS}}
    return {"content": forms}


def _answer(operation: rest.Operation, schemas: dict[str, Schema]) -> Schema | None:
    if isinstance(operation.answer, type):
        return _reference(operation.answer)
    if operation.answer is None:
        return {} if operation.id == "openapi" else None
    name, _, field = operation.answer.partition(".")
    descriptor = oip.DESCRIPTOR.message_types_by_name[name]
    if not field:
        return _message(descriptor, schemas)
    described = descriptor.fields_by_name[field]
    return _of_field(described, schemas) if not _is_map(described) else _listed(described, schemas)


def _listed(field: Any, schemas: dict[str, Schema]) -> Schema:
    """Regions: a map in gRPC, their list in REST."""
    return {"type": "array", "items": _single(field.message_type.fields_by_name["value"], schemas)}


def _message(descriptor: Descriptor, schemas: dict[str, Schema]) -> Schema:
    """A reference to the schema of a message, which is added."""
    name = descriptor.full_name.removeprefix("inference.").replace(".", "")
    if name not in schemas:
        schemas[name] = {}
        told = [field for field in descriptor.fields if field.containing_oneof is None]
        schemas[name] = {
            "type": "object",
            "properties": {field.name: _of_field(field, schemas) for field in descriptor.fields},
            "required": [field.name for field in told],
        }
    return {"$ref": REF.format(name=name)}


def _of_field(field: Any, schemas: dict[str, Schema]) -> Schema:
    if _is_map(field):
        value = _single(field.message_type.fields_by_name["value"], schemas)
        return {"type": "object", "additionalProperties": value}
    return {"type": "array", "items": _single(field, schemas)} if field.is_repeated else _single(field, schemas)


def _single(field: Any, schemas: dict[str, Schema]) -> Schema:
    if field.message_type is not None:
        return _message(field.message_type, schemas)
    if field.enum_type is not None:
        return {"enum": [value.name for value in field.enum_type.values]}
    names = {getattr(field, name): schema for name, schema in KINDS.items()}
    return dict(names.get(field.type, {"type": "integer"}))


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _reference(document: type) -> Schema:
    return {"$ref": REF.format(name=document.__name__)}
