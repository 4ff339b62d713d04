"""Which node a person means, and whether a name is free."""

from dataclasses import replace

import pytest

from coordinator.errors import BadInput, Conflict, NotFound
from coordinator.fleet.naming import check_free, find_node
from tests.unit.fleet.examples import a_node

HERE, THERE, UNIQUE = a_node("cam-3"), a_node("cam-3", site="store-13"), a_node("cam-4")
NODES = (HERE, THERE, UNIQUE)


@pytest.mark.parametrize(
    ("reference", "found"), [("store-13/cam-3", THERE), (HERE.id, HERE), ("cam-4", UNIQUE)], ids=["full", "id", "name"]
)
def test_a_node_is_found_by_id_by_full_name_and_by_a_name_of_its_own(reference: str, found: object) -> None:
    assert find_node(reference, NODES) is found


def test_a_name_that_two_sites_have_is_refused_with_both() -> None:
    with pytest.raises(BadInput, match="store-12/cam-3, store-13/cam-3"):
        find_node("cam-3", NODES)


def test_a_name_that_nobody_has_is_not_found() -> None:
    with pytest.raises(NotFound, match="no node 'cam-9': see edgectl node list"):
        find_node("cam-9", NODES)


def test_a_name_that_another_id_holds_is_refused_with_what_to_do() -> None:
    newcomer = replace(UNIQUE, name="cam-3")
    with pytest.raises(Conflict, match="edgectl node delete store-12/cam-3"):
        check_free(newcomer, HERE)


def test_a_node_may_keep_its_own_name() -> None:
    check_free(replace(HERE, labels={"new": "label"}), HERE)


def test_a_name_that_nobody_holds_is_free() -> None:
    check_free(HERE, None)
