"""Inputs and outputs in system shared memory, the way it is set up and taken down for a server of unknown state."""

import base64
import sys

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.utils.shared_memory as shm
from tritonclient import utils

client = grpcclient.InferenceServerClient(url=sys.argv[1])
client.unregister_system_shared_memory()
client.unregister_cuda_shared_memory()
assert len(client.get_system_shared_memory_status().regions) == 0
assert len(client.get_cuda_shared_memory_status().regions) == 0

first = np.arange(16, dtype=np.int32)
second = np.ones(shape=16, dtype=np.int32)
size = first.size * first.itemsize
into = shm.create_shared_memory_region("input_data", "/nearfield_test_input", size * 2)
out = shm.create_shared_memory_region("output_data", "/nearfield_test_output", size * 2)
try:
    shm.set_shared_memory_region(into, [first])
    shm.set_shared_memory_region(into, [second], offset=size)
    client.register_system_shared_memory("input_data", "/nearfield_test_input", size * 2)
    client.register_system_shared_memory("output_data", "/nearfield_test_output", size * 2)
    status = client.get_system_shared_memory_status()
    assert {(one.name, one.key, one.byte_size) for one in status.regions.values()} == {
        ("input_data", "/nearfield_test_input", size * 2),
        ("output_data", "/nearfield_test_output", size * 2),
    }

    inputs = [grpcclient.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    inputs[0].set_shared_memory("input_data", size)
    inputs[1].set_shared_memory("input_data", size, offset=size)
    outputs = [grpcclient.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
    outputs[0].set_shared_memory("output_data", size)
    outputs[1].set_shared_memory("output_data", size, offset=size)
    results = client.infer("simple", inputs, outputs=outputs)
    for name, offset, expected in (("OUTPUT0", 0, first + second), ("OUTPUT1", size, first - second)):
        output = results.get_output(name)
        dtype = utils.triton_to_np_dtype(output.datatype)
        data = shm.get_contents_as_numpy(out, dtype, output.shape, offset=offset)
        assert (data[0] == expected).all()

    inputs[1] = grpcclient.InferInput("INPUT1", [1, 16], "INT32")  # one of them in the message
    inputs[1].set_data_from_numpy(second.reshape(1, 16))
    outputs[0] = grpcclient.InferRequestedOutput("OUTPUT0")
    results = client.infer("simple", inputs, outputs=outputs)
    assert (results.as_numpy("OUTPUT0")[0] == first + second).all()

    inputs[0].set_shared_memory("input_data", size, offset=size * 2)
    try:
        client.infer("simple", inputs)
    except utils.InferenceServerException as error:
        assert "input_data" in error.message(), error.message()
    else:
        raise AssertionError("a place beyond the region was read")
    client.unregister_system_shared_memory("input_data")
    assert list(client.get_system_shared_memory_status().regions) == ["output_data"]
    client.unregister_system_shared_memory()
finally:
    shm.destroy_shared_memory_region(into)
    shm.destroy_shared_memory_region(out)
try:
    client.register_cuda_shared_memory("gpu", base64.b64encode(b"handle"), 0, 64)
except utils.InferenceServerException as error:
    assert error.status() == "StatusCode.UNIMPLEMENTED", error
else:
    raise AssertionError("there is no CUDA shared memory")
print("PASS: shared memory")
