"""What a person sees before and after applying a deployment."""

import msgspec

from coordinator.fleet.explain import diff_of, warnings_for
from tests.unit.fleet.examples import a_deployment, a_node

SPEC = a_deployment().spec


def test_the_difference_is_told_line_by_line_as_yaml() -> None:
    changed = msgspec.structs.replace(SPEC, model="mobilenet@2")
    lines = diff_of(SPEC, changed).splitlines()
    assert "-model: mobilenet@1" in lines
    assert "+model: mobilenet@2" in lines


def test_a_new_deployment_is_all_new_and_the_same_one_no_difference() -> None:
    assert diff_of(None, SPEC).startswith("--- nothing applied\n+++ wanted\n")
    assert diff_of(SPEC, SPEC) == ""


def test_a_selector_that_matches_nobody_is_worth_a_warning() -> None:
    assert warnings_for(SPEC, ()) == ("no node matches the selector 'site=store-12': see edgectl node list",)


def test_a_node_without_the_source_is_worth_a_warning() -> None:
    other = msgspec.structs.replace(SPEC, pipelines=(msgspec.structs.replace(SPEC.pipelines[0], source="door"),))
    assert warnings_for(other, (a_node(),)) == ("node store-12/cam-3 has no source 'door' (it has: shelf)",)
    assert warnings_for(SPEC, (a_node(),)) == ()
