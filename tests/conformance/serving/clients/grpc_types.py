"""Every datatype, raw and typed; shapes of any size."""

import sys

import grpc
import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import triton_to_np_dtype

TYPED = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
client = grpcclient.InferenceServerClient(url=sys.argv[1])
names = [*TYPED, "FP16"]
values = {
    name: np.array([[0, 1, 1], [1, 0, 1]] if name == "BOOL" else [[0, 1, 100], [3, 4, 5]]).astype(
        triton_to_np_dtype(name)
    )
    for name in names
}
values["BYTES"] = np.array([[b"", b"a", b"bc"], ["ü".encode(), b"d", b"e"]], dtype=object)

inputs = []
for name in names:
    inputs.append(grpcclient.InferInput(f"IN_{name}", [2, 3], name))
    inputs[-1].set_data_from_numpy(values[name])
raw = client.infer("every_type", inputs)
for name in names:
    found = raw.as_numpy(f"OUT_{name}")
    assert found.dtype == values[name].dtype
    assert (found == values[name]).all(), name

stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(sys.argv[1]))
for name in names:
    request = service_pb2.ModelInferRequest(model_name="simple_identity" if name == "BYTES" else "dynamic")
    tensor = request.inputs.add(name="INPUT0", datatype="BYTES" if name == "BYTES" else "FP32")
    if name == "BYTES":
        tensor.shape.extend([2, 3])
        tensor.contents.bytes_contents.extend(values["BYTES"].flatten().tolist())
    elif name == "FP32":
        tensor.shape.extend([1, 2, 3])
        tensor.contents.fp32_contents.extend(values["FP32"].flatten().tolist())
    else:
        continue
    answer = grpcclient.InferResult(stub.ModelInfer(request)).as_numpy("OUTPUT0")
    assert (answer.reshape(2, 3) == values[name]).all(), name

request = service_pb2.ModelInferRequest(model_name="simple")
for name in ("INPUT0", "INPUT1"):
    tensor = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
    tensor.contents.int_contents.extend(range(-8, 8))
assert (grpcclient.InferResult(stub.ModelInfer(request)).as_numpy("OUTPUT0") == 2 * np.arange(-8, 8)).all()

for shape in ((1, 1, 1), (1, 3, 700), (1, 0, 4)):
    data = grpcclient.InferInput("INPUT0", list(shape), "FP32")
    data.set_data_from_numpy(np.random.rand(*shape).astype(np.float32))
    found = client.infer("dynamic", [data]).as_numpy("OUTPUT0")
    assert found.shape == shape, found.shape
print("PASS: types")
