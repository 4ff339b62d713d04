"""What the node says about itself and its models: the protocol's metadata and configuration, for every transport.

The messages are those of gRPC; REST writes the same as JSON. Nothing here asks a lane or a worker.
"""

from edge_node.lane.messages import Port
from edge_node.serving.seam import Model, Serving
from protos import __version__
from protos.inference import grpc_service_pb2 as oip
from protos.inference import model_config_pb2 as configured

SERVER = "nearfield"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "sequence",
    "statistics",
    "system_shared_memory",
)


def server_metadata() -> oip.ServerMetadataResponse:
    """Name, version and extensions of this server."""
    return oip.ServerMetadataResponse(name=SERVER, version=__version__, extensions=EXTENSIONS)


def model_metadata(serving: Serving, name: str, version: str) -> oip.ModelMetadataResponse:
    """Names, types and shapes of a model's inputs and outputs, the batch axis included (-1)."""
    model = serving.model(name, version)
    return oip.ModelMetadataResponse(
        name=model.name,
        versions=[version] if version else serving.versions(name),
        platform=model.platform,
        inputs=[_tensor(port) for port in model.inputs],
        outputs=[_tensor(port) for port in model.outputs],
    )


def _tensor(port: Port) -> oip.ModelMetadataResponse.TensorMetadata:
    return oip.ModelMetadataResponse.TensorMetadata(name=port.name, datatype=port.datatype, shape=port.shape)


def model_config(model: Model) -> configured.ModelConfig:
    """How a model is served. `dims` leave the batch axis out where there is one."""
    skipped = 1 if model.max_batch else 0
    config = configured.ModelConfig(
        name=model.name,
        platform=model.platform,
        backend=model.engine,
        max_batch_size=model.max_batch,
        input=[
            configured.ModelInput(name=port.name, data_type=_type(port), dims=port.shape[skipped:])
            for port in model.inputs
        ],
        output=[
            configured.ModelOutput(name=port.name, data_type=_type(port), dims=port.shape[skipped:])
            for port in model.outputs
        ],
        instance_group=[
            configured.ModelInstanceGroup(
                name=model.name, count=model.instances, kind=configured.ModelInstanceGroup.KIND_CPU
            )
        ],
    )
    _schedule(config, model)
    return config


def _type(port: Port) -> "configured.DataType.ValueType":
    name = "STRING" if port.datatype == "BYTES" else port.datatype
    return configured.DataType.Value(f"TYPE_{name}")


def _schedule(config: configured.ModelConfig, model: Model) -> None:
    """Sequences, or batches; which of the two is there is how clients know."""
    batching = model.batching
    if model.recurrent:
        config.sequence_batching.max_sequence_idle_microseconds = int(model.sequence_idle_s * 1e6)
        config.sequence_batching.direct.SetInParent()
    elif model.max_batch > 1:
        config.dynamic_batching.preferred_batch_size.extend(batching.preferred)
        config.dynamic_batching.max_queue_delay_microseconds = batching.delay_us
        config.dynamic_batching.priority_levels = batching.priorities
        policy = config.dynamic_batching.default_queue_policy
        policy.default_timeout_microseconds = batching.default_timeout_us
        policy.allow_timeout_override = True
        policy.max_queue_size = batching.queue
