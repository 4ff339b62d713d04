"""What programs do with tritonclient over HTTP.

`http_programs.py HOST:PORT` prints, as JSON, what became of each program here: "ok", or what went wrong.
"""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import numpy as np
import tritonclient.http as http
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException, shared_memory

Client = Any
A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.ones((1, 16), dtype=np.int32)
TYPES = {
    "BOOL": [True, False, True],
    "UINT8": [0, 1, 255],
    "UINT16": [0, 1, 65535],
    "UINT32": [0, 1, 2**32 - 1],
    "UINT64": [0, 1, 2**64 - 1],
    "INT8": [-128, 0, 127],
    "INT16": [-(2**15), 0, 2**15 - 1],
    "INT32": [-(2**31), 0, 2**31 - 1],
    "INT64": [-(2**63), 0, 2**63 - 1],
    "FP16": [0.5, 0.0, -2.0],
    "FP32": [1.5, 0.0, -(2.0**100)],
    "FP64": [1e300, 0.0, -0.1],
    "BYTES": ["grüße".encode(), b"", b"a"],
}
NUMPY = {
    **{name: name.lower() for name in TYPES},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}


def given(name: str, array: Any, datatype: str, *, binary: bool = True) -> Any:
    """An input with its content."""
    tensor = http.InferInput(name, list(array.shape), datatype)
    return tensor.set_data_from_numpy(array, binary_data=binary)


def two(*, binary: bool = True) -> list[Any]:
    """The inputs of `simple`."""
    return [given("INPUT0", A, "INT32", binary=binary), given("INPUT1", B, "INT32", binary=binary)]


def refused(status: str, words: str, call: Callable[[], object]) -> None:
    """The call is refused with this status and these words."""
    try:
        call()
    except InferenceServerException as error:
        assert (error.status(), words in error.message()) == (status, True), error
    else:
        raise AssertionError("it was not refused")


def health_and_metadata(client: Client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("simple")
    assert client.is_model_ready("simple", "1")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    inputs = client.get_model_metadata("simple", "1")["inputs"]
    assert inputs[0] == {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 16]}
    config = client.get_model_config("simple")
    assert (config["max_batch_size"], config["input"][0]["dims"]) == (8, [16])
    assert "sequence_batching" in client.get_model_config("simple_sequence")
    statistics = client.get_inference_statistics("simple")["model_stats"]
    assert statistics[0]["inference_stats"]["success"]["count"] >= 0
    assert len(client.get_inference_statistics()["model_stats"]) > 5


def binary_and_json(client: Client) -> None:
    for binary in (True, False):
        outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in ("OUTPUT0", "OUTPUT1")]
        for wanted in (outputs, outputs[:1], None):
            result = client.infer("simple", two(binary=binary), outputs=wanted, request_id="7")
            assert result.get_response()["id"] == "7"
            assert np.array_equal(result.as_numpy("OUTPUT0"), A + B)
            assert (result.as_numpy("OUTPUT1") is None) == (wanted == outputs[:1])


def all_datatypes(client: Client) -> None:
    arrays = {datatype: np.array([values] * 2, dtype=NUMPY[datatype]) for datatype, values in TYPES.items()}
    for binary in (True, False):
        goes_binary = {datatype: binary or datatype == "FP16" for datatype in TYPES}
        inputs = [given(f"IN_{kind}", array, kind, binary=goes_binary[kind]) for kind, array in arrays.items()]
        outputs = [http.InferRequestedOutput(f"OUT_{kind}", binary_data=goes_binary[kind]) for kind in TYPES]
        result = client.infer("every_type", inputs, outputs=outputs)
        for datatype, array in arrays.items():
            back, expected = result.as_numpy(f"OUT_{datatype}").tolist(), array.tolist()
            if datatype == "BYTES" and not binary:
                expected = [[text.decode() for text in row] for row in expected]
            assert back == expected, (datatype, binary, back)


def strings(client: Client) -> None:
    texts = np.array([[str(number).encode() for number in range(16)]], dtype=np.object_)
    for binary in (True, False):
        wanted = [http.InferRequestedOutput("OUTPUT0", binary_data=binary)]
        back = client.infer("simple_identity", [given("INPUT0", texts, "BYTES", binary=binary)], outputs=wanted)
        assert [int(text) for text in back.as_numpy("OUTPUT0")[0]] == list(range(16))


def compression(client: Client) -> None:
    for there in ("gzip", "deflate", None):
        for back in ("gzip", "deflate", None):
            result = client.infer(
                "simple", two(), request_compression_algorithm=there, response_compression_algorithm=back
            )
            assert np.array_equal(result.as_numpy("OUTPUT1"), A - B)


def classification(client: Client) -> None:
    tensor = given("data", np.array([[0, 0.7, 0, 0.2, 0, 0, 0, 0], range(8)], dtype=np.float32), "FP32")
    for binary in (True, False):
        wanted = [http.InferRequestedOutput("scores", binary_data=binary, class_count=2)]
        classes = client.infer("classes", [tensor], outputs=wanted).as_numpy("scores")
        texts = [[each.decode() if binary else each for each in row] for row in classes]
        assert texts == [["0.700000:1:bee", "0.200000:3:dog"], ["7.000000:7:hen", "6.000000:6:gnu"]]


def shared_memory_both_ways(client: Client) -> None:
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    ours = shared_memory.create_shared_memory_region("ours", "/nearfield_http_test", 4 * A.nbytes)
    try:
        shared_memory.set_shared_memory_region(ours, [A, B])
        client.register_system_shared_memory("ours", "/nearfield_http_test", 4 * A.nbytes)
        assert client.get_system_shared_memory_status()[0]["name"] == "ours"
        inputs = [http.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        inputs[0].set_shared_memory("ours", A.nbytes)
        inputs[1].set_shared_memory("ours", A.nbytes, offset=A.nbytes)
        outputs = [http.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        outputs[0].set_shared_memory("ours", A.nbytes, offset=2 * A.nbytes)
        outputs[1].set_shared_memory("ours", A.nbytes, offset=3 * A.nbytes)
        result = client.infer("simple", inputs, outputs=outputs)
        assert set(result.get_output("OUTPUT1")) == {"name", "datatype", "shape"}
        back = shared_memory.get_contents_as_numpy(ours, np.int32, [4, 1, 16])
        assert np.array_equal(back[2:], [A + B, A - B])
        inputs[0].set_shared_memory("ours", A.nbytes, offset=4 * A.nbytes)
        refused("400", "ours", lambda: client.infer("simple", inputs, outputs=outputs))
        client.unregister_system_shared_memory("ours")
        assert client.get_system_shared_memory_status() == []
        refused("404", "ours", lambda: client.get_system_shared_memory_status("ours"))
        assert client.get_cuda_shared_memory_status() == []
        refused("501", "CUDA", lambda: client.register_cuda_shared_memory("c", b"aGFuZGxl", 0, 8))
    finally:
        shared_memory.destroy_shared_memory_region(ours)


def sequences(client: Client) -> None:
    totals: dict[object, list[int]] = {7: [], "text": []}
    for value in (1, 2, 4):
        for identifier, seen in totals.items():
            tensor = given("INPUT", np.array([[value]], dtype=np.int32), "INT32")
            steps = {"sequence_start": value == 1, "sequence_end": value == 4}
            result = client.infer("simple_sequence", [tensor], sequence_id=identifier, **steps)
            seen.append(int(result.as_numpy("OUTPUT")[0, 0]))
    assert totals == {7: [1, 3, 7], "text": [1, 3, 7]}


def many_at_once(client: Client) -> None:
    asked = [client.async_infer("simple", two(), request_id=str(number)) for number in range(20)]
    assert [each.get_result().get_response()["id"] for each in asked] == [str(number) for number in range(20)]


def model_control(client: Client) -> None:
    states = {each["name"]: each["state"] for each in client.get_model_repository_index()}
    assert states["simple"] == "READY"
    client.unload_model("dynamic")
    assert not client.is_model_ready("dynamic")
    client.load_model("dynamic")
    assert client.is_model_ready("dynamic")
    refused("404", "nobody", lambda: client.load_model("nobody"))
    refused("501", "load", lambda: client.load_model("simple", config="{}"))


def mistakes(client: Client) -> None:
    short = given("INPUT0", A[:, :8], "INT32")
    other = given("INPUT0", A.astype(np.float32), "FP32")
    refused("404", "Request for unknown model: 'nobody' is not found", lambda: client.infer("nobody", two()))
    refused("404", "simple", lambda: client.infer("simple", two(), model_version="9"))
    refused("400", "INPUT1", lambda: client.infer("simple", two()[:1]))
    refused("400", "got [1,8]", lambda: client.infer("simple", [short, two()[1]]))
    refused("400", "data-type is 'FP32'", lambda: client.infer("simple", [other, two()[1]]))
    refused("400", "OUTPUT9", lambda: client.infer("simple", two(), outputs=[http.InferRequestedOutput("OUTPUT9")]))
    wrong = two()
    wrong[0]._raw_data = b"1234"
    wrong[0]._parameters["binary_data_size"] = 4
    refused("400", "byte size", lambda: client.infer("simple", wrong))
    refused("501", "log settings", client.get_log_settings)
    refused("501", "trace", client.get_trace_settings)
    assert client.infer("simple", two()).as_numpy("OUTPUT0") is not None


def bodies_of_its_own(client: Client) -> None:
    body, size = client.generate_request_body(two(), outputs=[http.InferRequestedOutput("OUTPUT0")])
    headers = {"Inference-Header-Content-Length": size}
    response = client._post("v2/models/simple/infer", body, headers, None)
    length = int(response.get("Inference-Header-Content-Length"))
    result = client.parse_response_body(response.read(), header_length=length)
    assert np.array_equal(result.as_numpy("OUTPUT0"), A + B)


async def asyncio_client(address: str) -> None:
    async with aio.InferenceServerClient(address) as client:
        assert await client.is_server_live()
        assert (await client.get_model_metadata("simple"))["name"] == "simple"
        results = await asyncio.gather(*(client.infer("simple", two(binary=bool(n % 2))) for n in range(10)))
        assert all(np.array_equal(result.as_numpy("OUTPUT0"), A + B) for result in results)
        squeezed = await client.infer(
            "simple", two(), request_compression_algorithm="gzip", response_compression_algorithm="deflate"
        )
        assert np.array_equal(squeezed.as_numpy("OUTPUT1"), A - B)
        try:
            await client.infer("nobody", two())
        except InferenceServerException as error:
            assert error.status() == "404", error
        else:
            raise AssertionError("it was not refused")


PROGRAMS: tuple[Callable[[Client], None], ...] = (
    health_and_metadata,
    binary_and_json,
    all_datatypes,
    strings,
    compression,
    classification,
    shared_memory_both_ways,
    sequences,
    many_at_once,
    model_control,
    mistakes,
    bodies_of_its_own,
)
ASYNC_PROGRAMS: tuple[Callable[[str], Coroutine[None, None, None]], ...] = (asyncio_client,)


def became(program: Callable[[], object]) -> str:
    """What became of a program."""
    try:
        done = program()
        if inspect.iscoroutine(done):
            asyncio.run(done)
    except Exception:  # noqa: BLE001 - whatever it is, it is the result
        return traceback.format_exc()
    return "ok"


def main(address: str) -> None:
    """Run them all."""
    client = http.InferenceServerClient(address, concurrency=8)
    results = {program.__name__: became(partial(program, client)) for program in PROGRAMS}
    results |= {program.__name__: became(partial(program, address)) for program in ASYNC_PROGRAMS}
    client.close()
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
