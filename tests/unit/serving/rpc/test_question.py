"""Requests over gRPC as inferences, and answers as messages."""

import struct
from typing import Any

import pytest

from edge_node.lane.messages import Sequence
from edge_node.serving.inference import Answered, InRegion, Kind, OutputTensor, RequestedOutput, ServingError
from edge_node.serving.rpc.answer import answer, streamed_answer
from edge_node.serving.rpc.edge import host_of
from edge_node.serving.rpc.head import REMEMBERED_BYTES
from edge_node.serving.rpc.question import inference_of
from protos.inference import grpc_service_pb2 as oip

NOW = 10**12


def request(datatype: str = "INT32", **contents: Any) -> oip.ModelInferRequest:
    """A request with one input of two elements."""
    message = oip.ModelInferRequest(model_name="m", id="7")
    tensor = message.inputs.add(name="x", datatype=datatype, shape=[2])
    if contents:
        tensor.contents.CopyFrom(oip.InferTensorContents(**contents))
    return message


def asked(message: oip.ModelInferRequest, remaining_s: float | None = None) -> Any:
    """The inference of a request."""
    return inference_of(message.SerializeToString(), NOW, remaining_s)


def refusal(message: oip.ModelInferRequest) -> str:
    """Why a request is invalid."""
    with pytest.raises(ServingError) as caught:
        asked(message)
    assert caught.value.kind is Kind.INVALID
    assert "\n" not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize(
    ("datatype", "field", "values", "letter"),
    [
        ("BOOL", "bool_contents", [True, False], "?"),
        ("INT8", "int_contents", [-128, 127], "b"),
        ("INT16", "int_contents", [-(2**15), 2**15 - 1], "h"),
        ("INT32", "int_contents", [-(2**31), 2**31 - 1], "i"),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1], "q"),
        ("UINT8", "uint_contents", [0, 255], "B"),
        ("UINT16", "uint_contents", [0, 2**16 - 1], "H"),
        ("UINT32", "uint_contents", [0, 2**32 - 1], "I"),
        ("UINT64", "uint64_contents", [0, 2**64 - 1], "Q"),
        ("FP32", "fp32_contents", [0.5, -1.0], "f"),
        ("FP64", "fp64_contents", [0.5, 1e300], "d"),
    ],
)
def test_typed_contents_become_the_bytes_of_their_datatype(
    datatype: str, field: str, values: list[Any], letter: str
) -> None:
    inference = asked(request(datatype, **{field: values}))
    assert inference.inputs[0].data == struct.pack(f"<2{letter}", *values)
    assert (inference.model, inference.id, inference.inputs[0].shape) == ("m", "7", (2,))


def test_typed_texts_get_their_lengths_before_them() -> None:
    inference = asked(request("BYTES", bytes_contents=[b"ab", b""]))
    assert inference.inputs[0].data == b"\2\0\0\0ab\0\0\0\0"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (request("INT8", int_contents=[1, 128]), "input 'x' has a value that is no INT8"),
        (request("FP16", fp32_contents=[1, 2]), "input 'x' is FP16: send it in raw_input_contents"),
        (request("FP32", int_contents=[1, 2]), "its values belong in fp32_contents, not int_contents"),
        (request(), "unable to find data for input 'x' for model 'm' in request"),
    ],
)
def test_contents_that_do_not_fit_are_refused(message: oip.ModelInferRequest, reason: str) -> None:
    assert reason in refusal(message)


def test_typed_and_raw_contents_are_not_mixed() -> None:
    message = request(int_contents=[1, 2])
    message.inputs.add(name="y", datatype="INT32", shape=[1])
    message.raw_input_contents.append(bytes(4))
    assert refusal(message) == (
        "contents field must not be specified when using raw_input_contents for 'x' for model 'm'"
    )


def test_there_are_as_many_raw_tensors_as_inputs_that_need_one() -> None:
    message = request()
    message.raw_input_contents.extend([bytes(8), bytes(8)])
    assert refusal(message) == "expected 1 raw_input_contents but got 2 for model 'm'"


def test_raw_tensors_belong_to_the_inputs_that_are_not_in_shared_memory() -> None:
    message = request()
    parameters = message.inputs[0].parameters
    parameters["shared_memory_region"].string_param = "r"
    parameters["shared_memory_byte_size"].int64_param = 8
    parameters["shared_memory_offset"].int64_param = 16
    message.inputs.add(name="y", datatype="INT32", shape=[1])
    message.inputs.add(name="nothing", datatype="INT32", shape=[0])
    message.raw_input_contents.append(b"abcd")
    assert [one.data for one in asked(message).inputs] == [InRegion("r", 16, 8), b"abcd", b""]
    del parameters["shared_memory_byte_size"]
    assert "wants 'shared_memory_byte_size'" in refusal(message)


def test_parameters_become_priority_sequence_and_classes() -> None:
    message = request(int_contents=[1, 2])
    message.parameters["priority"].uint64_param = 2
    message.parameters["sequence_id"].string_param = "s"
    message.parameters["sequence_start"].bool_param = True
    message.parameters["something_new"].double_param = 0.5
    message.outputs.add(name="o").parameters["classification"].int64_param = 3
    inference = asked(message)
    assert (inference.priority, inference.sequence) == (2, Sequence("s", start=True))
    assert inference.outputs == (RequestedOutput("o", 3),)
    message.parameters["sequence_start"].int64_param = 1
    assert "'sequence_start'" in refusal(message)


@pytest.mark.parametrize("key", ["priority", "timeout", "sequence_id"])
def test_a_number_is_a_number_and_not_negative(key: str) -> None:
    message = request(int_contents=[1, 2])
    message.parameters[key].int64_param = -1
    assert f"'{key}'" in refusal(message)
    message.parameters[key].bool_param = True
    assert f"'{key}'" in refusal(message)


@pytest.mark.parametrize(
    ("remaining_s", "timeout_us", "wait_ns"), [(None, 0, None), (2.0, 0, 2e9), (None, 500, 5e5), (2.0, 500, 5e5)]
)
def test_the_earlier_of_deadline_and_timeout_counts(
    remaining_s: float | None, timeout_us: int, wait_ns: float | None
) -> None:
    message = request(int_contents=[1, 2])
    if timeout_us:
        message.parameters["timeout"].int64_param = timeout_us
    assert asked(message, remaining_s).deadline_ns == (0 if wait_ns is None else NOW + int(wait_ns))


def test_long_typed_contents_are_read_and_not_remembered() -> None:
    values = list(range(REMEMBERED_BYTES))
    message = oip.ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="x", datatype="INT32", shape=[len(values)])
    tensor.contents.int_contents.extend(values)
    assert asked(message).inputs[0].data == struct.pack(f"<{len(values)}i", *values)


def test_an_answer_is_the_message_that_clients_expect() -> None:
    outputs = (
        OutputTensor("a", "FP32", (1, 50), memoryview(bytes(200))),
        OutputTensor("b", "INT8", (3,), InRegion("r", 4, 3)),
        OutputTensor("c", "BYTES", (0,), b""),
    )
    answered = Answered("m", "2", outputs, "id ä")
    message = oip.ModelInferResponse.FromString(answer(answered))
    assert (message.model_name, message.model_version, message.id) == ("m", "2", "id ä")
    assert [(one.name, one.datatype, tuple(one.shape)) for one in message.outputs] == [
        (one.name, one.datatype, one.shape) for one in outputs
    ]
    assert list(message.raw_output_contents) == [bytes(200), b"", b""]
    place = {key: one.string_param or one.int64_param for key, one in message.outputs[1].parameters.items()}
    assert place == {"shared_memory_region": "r", "shared_memory_byte_size": 3, "shared_memory_offset": 4}
    streamed = oip.ModelStreamInferResponse.FromString(streamed_answer(answered))
    assert streamed.infer_response.parameters.pop("triton_final_response").bool_param
    assert streamed.infer_response == message


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("unix:", "unix:"),
        ("unix:/run/x", "unix:"),
        ("", ""),
    ],
)
def test_the_other_end_is_named_without_its_port(peer: str, host: str) -> None:
    assert host_of(peer) == host
