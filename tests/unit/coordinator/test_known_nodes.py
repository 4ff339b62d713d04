"""A filter that fits no node is named, with the nearest."""

import pytest

from coordinator.cli.known_nodes import hint_for
from protos.fleet.v1.node_pb2 import Node
from protos.fleet.v1.result_pb2 import ResultFilter

NODES = (Node(node_id="ab12", name="cam-3", site="store-12"), Node(node_id="cd34", name="till-1", site="store-7"))


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        (ResultFilter(), ""),
        (ResultFilter(node="cam-3"), ""),
        (ResultFilter(node="ab12", site="store-12"), ""),
        (ResultFilter(site="store-7"), ""),
        (ResultFilter(node="cma-3"), "no node named 'cma-3'; did you mean 'cam-3'?"),
        (ResultFilter(node="x"), "no node named 'x': see edgectl node list"),
        (ResultFilter(node="cam-3", site="store-7"), "no node named 'cam-3' at store-7: see edgectl node list"),
        (ResultFilter(node="cam-3", site="stroe-7"), "no node at a site 'stroe-7'; did you mean 'store-7'?"),
    ],
)
def test_what_fits_no_node_is_named_with_the_nearest(wanted: ResultFilter, hint: str) -> None:
    assert hint_for(wanted, NODES) == hint
