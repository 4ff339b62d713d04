"""One `edge-node serve` of the repository of `models.py`, for all suites of clients."""

from collections.abc import Iterator

import pytest

from tests.conformance.serving.models import repository
from tests.integration.serving_world import Running, serving


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The running node: `node.ready["grpc"]` and `node.ready["http"]` are its addresses."""
    folder = tmp_path_factory.mktemp("repository")
    with serving(repository(folder / "models"), cache=folder / "cache") as running:
        yield running
