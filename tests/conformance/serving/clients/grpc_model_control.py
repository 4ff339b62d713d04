"""The repository's index, unloading a model and loading it again."""

import sys

import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

client = grpcclient.InferenceServerClient(url=sys.argv[1])


def states() -> set[str]:
    """Of the versions of the model."""
    return {one.state for one in client.get_model_repository_index().models if one.name == "dynamic"}


assert states() == {"READY"}
client.load_model("dynamic")
assert client.is_model_ready("dynamic")
client.unload_model("dynamic")
assert not client.is_model_ready("dynamic")
assert states() == {"UNAVAILABLE"}
client.load_model("dynamic")
assert client.is_model_ready("dynamic")
for call in (client.load_model, client.unload_model):
    try:
        call("wrong_model_name")
    except InferenceServerException as error:
        assert "wrong_model_name" in error.message(), error.message()
    else:
        raise AssertionError("a model that is not there")
try:
    client.load_model("dynamic", config='{"backend": "python"}')
except InferenceServerException as error:
    assert error.status() == "StatusCode.UNIMPLEMENTED", error
else:
    raise AssertionError("a configuration from outside")
assert client.is_model_ready("dynamic")
print("PASS: model control")
