"""Messages of gRPC as the plain values that REST writes as JSON: field names as they are, numbers as numbers.

Fields without a value are written with their default, as Triton does; of a oneof only what is set. (protobuf's own
JSON writes 64-bit numbers as strings, which clients of the protocol don't expect.)
"""

from typing import Any

from google.protobuf.message import Message

Field = Any
"""A FieldDescriptor; protobuf has several classes of them, by how it is implemented."""


def plain(message: Message) -> dict[str, Any]:
    """The fields of a message, by name."""
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields if _is_told(message, field)}


def _is_told(message: Message, field: Field) -> bool:
    return field.containing_oneof is None or message.HasField(field.name)


def _value(message: Message, field: Field) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of_message = field.message_type.fields_by_name["value"].message_type is not None
        return {str(key): plain(value[key]) if of_message else value[key] for key in value}
    if field.is_repeated:
        return [_single(field, element) for element in value]
    return _single(field, value)


def _single(field: Field, value: Any) -> Any:
    if field.message_type is not None:
        return plain(value)
    return field.enum_type.values_by_number[value].name if field.enum_type is not None else value
