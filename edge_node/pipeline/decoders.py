"""Which decoder reads a model's answer: chosen from the manifest's task and outputs."""

from collections.abc import Sequence

from edge_node.engine.base import TensorSpec
from edge_node.errors import BadInput
from edge_node.pipeline.detection import Detection
from edge_node.pipeline.placement import Size
from edge_node.pipeline.postprocess import AnomalyScore, Classification, Decoder, Options, Tensors
from protos.bundle import Manifest, Output, Task

ASSUMED: dict[Task, Output] = {
    Task.CLASSIFICATION: Output(decode="classification"),
    Task.DETECTION: Output(decode="detection"),
    Task.ANOMALY: Output(decode="anomaly"),
}
"""How a task's answer is read where the manifest has no [[outputs]]."""


def decoder_for(
    manifest: Manifest, specs: Sequence[TensorSpec], labels: Sequence[str], options: Options, size: Size | None
) -> Decoder:
    """The decoder of a model.

    Args:
        manifest: the task and how its outputs are read.
        specs: the model's outputs, without recurrent state.
        labels: of the first labelled output.
        options: what the pipeline overrides.
        size: of the model's image input.

    Raises:
        BadInput: the outputs do not fit the task, or this version does not know it.
    """
    if manifest.task is Task.TENSOR:
        return Tensors(manifest.outputs, specs)
    given = manifest.outputs[0] if manifest.outputs else ASSUMED.get(manifest.task)
    if given is None or given.decode != manifest.task.value:
        known = ", ".join((*ASSUMED, Task.TENSOR))
        raise BadInput(f"model.toml: no output decodes as {manifest.task.value!r}: this version reads {known}")
    if manifest.task is Task.DETECTION:
        return Detection(given, specs, labels, options, size)
    if manifest.task is Task.ANOMALY:
        return AnomalyScore(given, specs, options)
    return Classification(given, specs, labels, options)
