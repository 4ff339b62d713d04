"""Two tensors in, their sum and difference out; chosen outputs, a chosen version, an id, compression, statistics."""

import sys

import numpy as np
import tritonclient.grpc as grpcclient

client = grpcclient.InferenceServerClient(url=sys.argv[1], verbose=False)
first = np.arange(16, dtype=np.int32).reshape(1, 16)
second = np.ones(shape=(1, 16), dtype=np.int32)
inputs = [grpcclient.InferInput("INPUT0", [1, 16], "INT32"), grpcclient.InferInput("INPUT1", [1, 16], "INT32")]
inputs[0].set_data_from_numpy(first)
inputs[1].set_data_from_numpy(second)
outputs = [grpcclient.InferRequestedOutput("OUTPUT0"), grpcclient.InferRequestedOutput("OUTPUT1")]

results = client.infer(model_name="simple", inputs=inputs, outputs=outputs, headers={"test": "1"})
assert (results.as_numpy("OUTPUT0") == first + second).all()
assert (results.as_numpy("OUTPUT1") == first - second).all()

results = client.infer("simple", inputs, model_version="1", request_id="seventeen", outputs=outputs[1:])
assert results.as_numpy("OUTPUT0") is None
assert (results.as_numpy("OUTPUT1") == first - second).all()
assert (results.get_response().id, results.get_response().model_version) == ("seventeen", "1")
assert client.infer("simple", inputs).get_response().model_version == "2"

for algorithm in ("gzip", "deflate"):
    results = client.infer("simple", inputs, compression_algorithm=algorithm)
    assert (results.as_numpy("OUTPUT0") == first + second).all()

results = client.infer("simple", inputs, client_timeout=10, timeout=5_000_000, priority=0)
assert (results.as_numpy("OUTPUT0") == first + second).all()

statistics = client.get_inference_statistics(model_name="simple", model_version="2")
assert len(statistics.model_stats) == 1
assert statistics.model_stats[0].inference_stats.success.count >= 4
print("PASS: infer")
