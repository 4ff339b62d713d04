"""Typed contents (`InferTensorContents`) as raw bytes, little-endian: pure.

Source: Open Inference Protocol v2, "InferTensorContents". FP16 has no typed form.
"""

from array import array

from edge_node.serving.inference import Kind, ServingError
from protos.inference import grpc_service_pb2 as oip
from protos.inference.elements import joined

_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_CODES = {
    "BOOL": "B", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "FP32": "f", "FP64": "d",
}  # fmt: skip


def raw_of(name: str, datatype: str, contents: oip.InferTensorContents) -> bytes:
    """The bytes of the input `name`.

    Raises:
        ServingError: INVALID; the values are in another field, do not fit the datatype, or it has no typed form.
    """
    field = _FIELDS.get(datatype)
    if field is None:
        raise ServingError(Kind.INVALID, f"input '{name}' is {datatype}: send it in raw_input_contents")
    for present, _ in contents.ListFields():
        if present.name != field:
            raise ServingError(
                Kind.INVALID, f"input '{name}' is {datatype}: its values belong in {field}, not {present.name}"
            )
    if datatype == "BYTES":
        return joined(contents.bytes_contents)
    try:
        return array(_CODES[datatype], getattr(contents, field)).tobytes()
    except OverflowError:
        raise ServingError(Kind.INVALID, f"input '{name}' has a value that is no {datatype}") from None
