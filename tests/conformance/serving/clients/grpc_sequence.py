"""Two sequences side by side, with numbers and with texts as ids: call by call, and as a stream."""

import queue
import sys
from functools import partial
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient

VALUES = [11, 7, 5, 3, 2, 0, 1]
client = grpcclient.InferenceServerClient(url=sys.argv[1])
completed: queue.Queue[Any] = queue.Queue()


def step(value: int) -> list[Any]:
    """One step's input."""
    data = grpcclient.InferInput("INPUT", [1, 1], "INT32")
    data.set_data_from_numpy(np.full(shape=[1, 1], fill_value=value, dtype=np.int32))
    return [data]


def call_by_call(sequence: int | str, sign: int, model: str = "simple_sequence") -> list[int]:
    """The outputs of a sequence."""
    found = []
    for count, value in enumerate(VALUES, 1):
        result = client.infer(
            model,
            step(sign * value),
            sequence_id=sequence,
            sequence_start=count == 1,
            sequence_end=count == len(VALUES),
        )
        found.append(int(result.as_numpy("OUTPUT")[0][0]))
    return found


def callback(user_data: "queue.Queue[Any]", result: Any, error: Any) -> None:
    """Keep what came."""
    user_data.put(error or result)


def send(sequence: int | str, sign: int) -> None:
    """All steps of a sequence, without waiting."""
    for count, value in enumerate(VALUES, 1):
        client.async_stream_infer(
            model_name="simple_sequence",
            inputs=step(sign * value),
            request_id=f"{sequence}_{count}",
            sequence_id=sequence,
            sequence_start=count == 1,
            sequence_end=count == len(VALUES),
        )


sums = [sum(VALUES[: count + 1]) for count in range(len(VALUES))]
assert call_by_call(1000, 1) == sums
assert call_by_call("text", -1) == [-one for one in sums]
assert call_by_call(7, 1, "implicit_sequence") == [100 + one for one in sums]
metadata = client.get_model_metadata("implicit_sequence", as_json=True)
assert [[one["name"] for one in metadata[side]] for side in ("inputs", "outputs")] == [["INPUT"], ["OUTPUT"]]
client.start_stream(callback=partial(callback, completed))
send(1001, 1)
send("stream", -1)
received: dict[str, list[int]] = {"1001": [], "stream": []}
for _ in range(2 * len(VALUES)):
    answer = completed.get(timeout=20)
    if isinstance(answer, Exception):
        raise answer
    assert answer.get_response().parameters["triton_final_response"].bool_param
    received[answer.get_response().id.split("_")[0]].append(int(answer.as_numpy("OUTPUT")[0][0]))
client.stop_stream()
assert received == {"1001": sums, "stream": [-one for one in sums]}, received
print("PASS: sequence")
