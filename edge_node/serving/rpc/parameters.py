"""The parameters of requests, inputs and outputs: pure. Those that are not known are ignored, as Triton does.

Source: the sequence, schedule policy, classification and shared memory extensions of Triton's protocol.
"""

from collections.abc import Mapping

from edge_node.lane.messages import Sequence
from edge_node.serving.inference import InRegion, Kind, ServingError
from protos.inference import grpc_service_pb2 as oip

Parameters = Mapping[str, oip.InferParameter]
LARGEST = 2**63 - 1


def whole(given: Parameters, key: str) -> int:
    """A number that is 0 or above; 0 where it is not given.

    Raises:
        ServingError: INVALID.
    """
    value = _value(given, key)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ServingError(Kind.INVALID, f"invalid value for '{key}' parameter, expected int64_param of 0 or above")
    return value


def sequence(given: Parameters) -> Sequence | None:
    """The step of a sequence; an id of 0 or of no letters is none.

    Raises:
        ServingError: INVALID.
    """
    identifier = _value(given, "sequence_id")
    if type(identifier) is not str:
        identifier = whole(given, "sequence_id")
    if not identifier:
        return None
    return Sequence(identifier, _flag(given, "sequence_start"), _flag(given, "sequence_end"))


def region(given: Parameters, whose: str) -> InRegion | None:
    """Where a tensor lies in shared memory, None where it does not.

    Raises:
        ServingError: INVALID; `whose` names the tensor.
    """
    name = _value(given, "shared_memory_region")
    if name is None:
        return None
    if type(name) is not str or not name:
        raise ServingError(Kind.INVALID, f"{whose}: 'shared_memory_region' wants a name as string_param")
    if "shared_memory_byte_size" not in given:
        raise ServingError(Kind.INVALID, f"{whose}: 'shared_memory_region' wants 'shared_memory_byte_size' beside it")
    return InRegion(name, whole(given, "shared_memory_offset"), whole(given, "shared_memory_byte_size"))


def _flag(given: Parameters, key: str) -> bool:
    value = _value(given, key)
    if value is None:
        return False
    if type(value) is not bool:
        raise ServingError(Kind.INVALID, f"invalid value type for '{key}' parameter, expected bool_param")
    return value


def _value(given: Parameters, key: str) -> bool | int | float | str | None:
    if key not in given:
        return None
    parameter = given[key]
    chosen = parameter.WhichOneof("parameter_choice")
    return None if chosen is None else getattr(parameter, chosen)
