"""A pipeline's live topic never collides with a topic of the node itself."""

import pytest

from protos.deployment import parse_deployment
from protos.errors import ContractError


def test_a_pipeline_named_availability_is_refused() -> None:
    document = {"name": "d", "selector": "a=b", "model": "m@1", "pipelines": [{"name": "availability", "source": "s"}]}
    with pytest.raises(ContractError, match=r"^d\.yaml: a pipeline cannot be named 'availability'"):
        parse_deployment(document, "d.yaml")
