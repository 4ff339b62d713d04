"""Reading JSON documents and the parameters in them: whatever is wrong is one line and the caller's fault."""

from typing import TypeVar

import msgspec

from edge_node.serving.inference import Kind, ServingError
from protos.inference.rest import Parameters

Document = TypeVar("Document")
MOST = 2**63


def invalid(reason: str) -> ServingError:
    """A refusal of what was asked."""
    return ServingError(Kind.INVALID, reason)


def decoded(decoder: "msgspec.json.Decoder[Document]", text: bytes | bytearray | memoryview) -> Document:
    """A JSON document. Raises `ServingError` where it is none, or not as it should be."""
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"failed to parse the request JSON: {str(error).splitlines()[0]}") from None


def size(parameters: Parameters, name: str) -> int:
    """A parameter that counts something; 0 where it is absent."""
    value = parameters.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value < MOST:
        raise invalid(f"unable to parse '{name}': it is no whole number from 0 on")
    return value


def flag(parameters: Parameters, name: str) -> bool:
    """A parameter that is true or false; false where it is absent."""
    value = parameters.get(name)
    if value is not None and type(value) is not bool:
        raise invalid(f"unable to parse '{name}': it is neither true nor false")
    return bool(value)


def text(parameters: Parameters, name: str) -> str:
    """A parameter of characters, empty where it is absent."""
    value = parameters.get(name)
    if value is not None and type(value) is not str:
        raise invalid(f"unable to parse '{name}': it is no string")
    return value or ""
