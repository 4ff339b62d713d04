"""What is wrong is said, with the right status, and the server goes on."""

import sys
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(url=sys.argv[1])
ONES = np.ones((1, 16), dtype=np.int32)


def tensor(name: str = "INPUT0", datatype: str = "INT32", value: "np.ndarray[Any, Any]" = ONES) -> Any:
    """An input."""
    data = grpcclient.InferInput(name, list(value.shape), datatype)
    data.set_data_from_numpy(value)
    return data


def cut(name: str) -> Any:
    """An input with too few bytes."""
    data = tensor(name)
    data._raw_content = data._raw_content[:-4]
    return data


def refused(status: str, said: str, model: str, inputs: list[Any], **more: Any) -> None:
    """Ask for what cannot be."""
    try:
        client.infer(model, inputs, **more)
    except InferenceServerException as error:
        assert error.status() == f"StatusCode.{status}", error
        assert said in error.message(), error.message()
        assert "\n" not in error.message()
    else:
        raise AssertionError(f"not refused: {said}")


both = [tensor("INPUT0"), tensor("INPUT1")]
other = tensor("INPUT1")
wide, long = np.ones((1, 8), dtype=np.int32), np.ones((9, 16), dtype=np.int32)
refused("NOT_FOUND", "Request for unknown model: 'nobody' is not found", "nobody", both)
refused("NOT_FOUND", "'simple'", "simple", both, model_version="7")
refused("INVALID_ARGUMENT", "INPUT7", "simple", [tensor("INPUT7"), other])
refused("INVALID_ARGUMENT", "data-type", "simple", [tensor(datatype="FP32", value=ONES.astype(np.float32)), other])
refused("INVALID_ARGUMENT", "shape", "simple", [tensor(value=wide), other])
refused("INVALID_ARGUMENT", "shape", "simple", [tensor(value=ONES.reshape(1, 4, 4)), other])
refused("INVALID_ARGUMENT", "byte size 60", "simple", [cut("INPUT0"), other])
refused("INVALID_ARGUMENT", "INPUT1", "simple", both[:1])
refused("INVALID_ARGUMENT", "OUTPUT7", "simple", both, outputs=[grpcclient.InferRequestedOutput("OUTPUT7")])
refused("INVALID_ARGUMENT", "batch", "simple", [tensor("INPUT0", value=long), tensor("INPUT1", value=long)])
refused("INVALID_ARGUMENT", "", "simple_sequence", [tensor("INPUT", value=ONES[:, :1])])
assert (client.infer("simple", both).as_numpy("OUTPUT0") == 2).all()
print("PASS: errors")
