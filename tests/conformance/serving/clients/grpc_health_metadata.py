"""Health, metadata and configuration, of the server and of models that are there and not."""

import sys

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(url=sys.argv[1])
assert client.is_server_live(headers={"test": "1", "dummy": "2"})
assert client.is_server_ready()
assert client.is_model_ready("simple")
assert client.is_model_ready("simple", "1")
assert not client.is_model_ready("simple", "3")
assert not client.is_model_ready("wrong_model_name")

metadata = client.get_server_metadata()
assert metadata.name == "nearfield"
assert {"model_repository", "system_shared_memory", "statistics", "sequence"} <= set(metadata.extensions)

model = client.get_model_metadata("simple")
assert (model.name, list(model.versions)) == ("simple", ["1", "2"])
assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs] == [
    ("INPUT0", "INT32", [-1, 16]),
    ("INPUT1", "INT32", [-1, 16]),
]
try:
    client.get_model_metadata("wrong_model_name")
except InferenceServerException as error:
    assert "Request for unknown model" in error.message(), error.message()
    assert error.status() == "StatusCode.NOT_FOUND"
else:
    raise AssertionError("metadata of a model that is not there")

config = client.get_model_config("simple").config
assert (config.name, config.max_batch_size) == ("simple", 8)
assert [list(one.dims) for one in config.input] == [[16], [16]]
assert config.HasField("dynamic_batching")
assert not config.model_transaction_policy.decoupled
assert client.get_model_config("simple_sequence").config.HasField("sequence_batching")
assert [list(one.dims) for one in client.get_model_config("dynamic").config.input] == [[1, -1, -1]]

for refused in (client.get_trace_settings, client.get_log_settings):
    try:
        refused()
    except InferenceServerException as error:
        assert error.status() == "StatusCode.UNIMPLEMENTED", error
    else:
        raise AssertionError("an extension that is not advertised")
print("PASS: health and metadata")
