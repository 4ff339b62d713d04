"""Many requests at once: callbacks, a stream with a request that fails among others, deadlines, cancelling."""

import queue
import sys
from functools import partial
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

COUNT = 100
client = grpcclient.InferenceServerClient(url=sys.argv[1])


def completion(user_data: "queue.Queue[Any]", result: Any, error: Any) -> None:
    """Keep what came."""
    user_data.put(error or result)


def inputs(value: int) -> list[Any]:
    """Two tensors full of a value."""
    tensors = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    for tensor in tensors:
        tensor.set_data_from_numpy(np.full((1, 16), value, dtype=np.int32))
    return tensors


answers: queue.Queue[Any] = queue.Queue()
for number in range(COUNT):
    client.async_infer("simple", inputs(number), partial(completion, answers), request_id=str(number))
for _ in range(COUNT):
    result = answers.get(timeout=20)
    assert (result.as_numpy("OUTPUT0") == 2 * int(result.get_response().id)).all()

context = client.async_infer("simple", inputs(1), partial(completion, answers))
context.cancel()
answers.get(timeout=20)

client.start_stream(callback=partial(completion, answers))
for number in range(COUNT):
    model = "wrong_model_name" if number == COUNT // 2 else "simple"
    client.async_stream_infer(model, inputs(number), request_id=str(number), enable_empty_final_response=True)
seen, failed = set(), []
for _ in range(COUNT):
    result = answers.get(timeout=20)
    if isinstance(result, InferenceServerException):
        failed.append(result.message())
    else:
        seen.add(result.get_response().id)
        assert (result.as_numpy("OUTPUT0") == 2 * int(result.get_response().id)).all()
client.stop_stream()
assert seen == {str(number) for number in range(COUNT) if number != COUNT // 2}
assert failed == ["Request for unknown model: 'wrong_model_name' is not found"], failed
try:
    client.infer("simple", inputs(1), timeout=1)
except InferenceServerException as error:
    assert error.status() == "StatusCode.DEADLINE_EXCEEDED", error
else:
    raise AssertionError("an answer within a microsecond")
print("PASS: async")
