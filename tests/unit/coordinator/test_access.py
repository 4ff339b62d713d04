"""The table of methods and roles, as data."""

import pytest

from coordinator.api.access import ALLOWED, PACKAGE, refusal
from protos.identity import NodeId
from protos.principal import COORDINATOR, Principal, Role
from tests.services import METHODS

NODE = Principal(Role.NODE, NodeId("a" * 32))


def test_every_method_stands_in_the_table_and_nothing_else() -> None:
    served = {method.name for method in METHODS if not method.name.startswith("EnrollmentService/")}
    assert served == set(ALLOWED)


def test_whoever_may_do_more_may_do_all_that_viewers_may() -> None:
    viewers = {method for method, roles in ALLOWED.items() if Role.VIEWER in roles}
    assert viewers
    for role in (Role.OPERATOR, Role.PUBLISHER, Role.ADMIN):
        assert viewers <= {method for method, roles in ALLOWED.items() if role in roles}


def test_nodes_have_nothing_to_administer_and_administrators_nothing_to_say_of_a_node() -> None:
    of_nodes = {method for method, roles in ALLOWED.items() if Role.NODE in roles}
    assert of_nodes == {"NodeService/RegisterNode", "ArtifactService/FetchBlob", "ArtifactService/GetManifest"}
    assert ALLOWED["NodeService/RegisterNode"] == {Role.NODE}


def test_the_coordinators_own_certificate_may_call_nothing() -> None:
    assert all(refusal(PACKAGE + method, COORDINATOR) for method in ALLOWED)


@pytest.mark.parametrize(
    ("method", "principal", "complaint"),
    [
        (
            "NodeService/DeleteNode",
            Principal(Role.OPERATOR, "bob"),
            "operator:bob may not call DeleteNode, it needs the role admin: an administrator gives it with edgectl",
        ),
        ("ModelService/PublishVersion", Principal(Role.VIEWER, "eve"), "needs the role publisher or admin"),
        ("ModelService/SignVersion", Principal(Role.VIEWER, "eve"), "edgectl credential create NAME --role publisher"),
        ("NodeService/RegisterNode", Principal(Role.ADMIN, "eve"), "only nodes do"),
        ("NodeService/Invented", Principal(Role.ADMIN, "eve"), "nobody may"),
        ("NodeService/ListNodes", NODE, "needs the role viewer or operator or publisher or admin"),
    ],
)
def test_a_refusal_says_which_role_is_needed(method: str, principal: Principal, complaint: str) -> None:
    assert complaint in refusal(PACKAGE + method, principal)


def test_health_is_open_to_every_certificate() -> None:
    assert refusal("/grpc.health.v1.Health/Check", NODE) == ""
