"""The classification extension, for one sample and for a batch."""

import sys

import numpy as np
import tritonclient.grpc as grpcclient

client = grpcclient.InferenceServerClient(url=sys.argv[1])
scores = np.array([[0.5, 7, 0, -1, 6, 2, 1, 3], [1, 2, 3, 4, 5, 6, 7, 8]], dtype=np.float32)
for batch, expected in (
    (scores[:1], [["bee", "eel", "hen"]]),
    (scores, [["bee", "eel", "hen"], ["hen", "gnu", "fox"]]),
):
    data = grpcclient.InferInput("data", list(batch.shape), "FP32")
    data.set_data_from_numpy(batch)
    wanted = grpcclient.InferRequestedOutput("scores", class_count=3)
    found = client.infer("classes", [data], outputs=[wanted]).as_numpy("scores")
    assert found.shape == (len(batch), 3), found.shape
    assert [[text.decode().split(":")[2] for text in row] for row in found] == expected, found
    value, index, _ = found[0][0].decode().split(":")
    assert (float(value), int(index)) == (7.0, 1)
print("PASS: classes")
