"""Texts in and out: as bytes, as str objects, with nothing in them, and more than ASCII."""

import sys

import numpy as np
import tritonclient.grpc as grpcclient

client = grpcclient.InferenceServerClient(url=sys.argv[1])
texts = ["", "one", "zwölf", "二", "a\0b", "long " * 1000]
for given in (
    np.array([texts], dtype=object),
    np.array([[text.encode() for text in texts]], dtype=object),
):
    data = grpcclient.InferInput("INPUT0", list(given.shape), "BYTES")
    data.set_data_from_numpy(given)
    result = client.infer("simple_identity", [data]).as_numpy("OUTPUT0")
    expected = [one.encode() if isinstance(one, str) else one for one in given[0]]
    assert result.shape == given.shape
    assert list(result[0]) == expected, result
print("PASS: string")
