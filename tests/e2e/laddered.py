"""A bundle whose ladder has accelerators that do as they are told: fail, crash or hang, at a run or at a load."""

from pathlib import Path

import numpy as np

from edge_node.pipeline.golden import Vector, vector_bytes
from protos.inference import grpc_service_pb2 as oip
from tests.conformance.worker_world import stub_bundle

ANSWER = np.array([[0.1, 0.7, 0.2, 0.0]], np.float32)


def laddered_bundle(folder: Path) -> Path:
    """The stub bundle with a golden vector, so that accelerators may run it: four times as fast as the processor."""
    stub_bundle(folder, delay_ms=40.0)
    with (folder / "model.toml").open("a") as manifest:
        manifest.write('[golden]\nvectors = "golden/*.npz"\nagree = "values"\ntolerance = 0.001\n')
    (folder / "golden").mkdir()
    vector = Vector((np.zeros((8, 8, 3), np.uint8),), (ANSWER,))
    (folder / "golden" / "one.npz").write_bytes(vector_bytes(vector))
    return folder


class Accelerators:
    """Accelerators of the stub, each with the file that it is told by; `toml` configures them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._files = {name: folder / f"{name}.command" for name in names}
        for file in self._files.values():
            file.touch()
        self.toml = "".join(
            f'[[engines.devices]]\nengine = "stub"\naccelerator = "{name}"\nlibrary = "{file}"\n'
            for name, file in self._files.items()
        )

    def tell(self, name: str, command: str) -> None:
        """Have an accelerator, or a rung on it, do something from now on: `fail`, `crash`, `hang`, or empty: work."""
        self._files[name.removeprefix("stub/")].write_text(command)


def picture(model: str) -> oip.ModelInferRequest:
    """An ask with a black picture."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="UINT8", shape=[1, 8, 8, 3])
    return oip.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[bytes(192)])
