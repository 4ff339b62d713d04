"""What Mosquitto's plugin is told: from any state to the wanted one, checked against a plain model of the plugin."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.link.access import AccessTable, Place
from coordinator.link.access_control import answers_in
from coordinator.link.dynamic_security import DEFAULTS, State, document, is_ours, read_state, steps, wanted_state
from protos.identity import NodeId
from protos.topics import Topics

TOPICS = Topics("edge/v1")
nodes = st.sampled_from([NodeId(letter * 32) for letter in "abc"])
places = st.builds(Place, st.sampled_from(["s", "t"]), st.sampled_from(["n", "m"]))
tables = st.builds(AccessTable, st.dictionaries(nodes, places), st.frozensets(st.sampled_from(["viewer:v", "admin:a"])))
acls = st.frozensets(st.tuples(st.sampled_from(["publishClientSend", "subscribePattern"]), st.sampled_from(["#", "a"])))
roles = st.sampled_from(["a" * 32, "coordinator", "readers", "site-team", "z" * 32])
states = st.builds(
    State,
    st.dictionaries(roles, acls),
    st.dictionaries(st.sampled_from(["a" * 32, "viewer:gone", "home-assistant", "coordinator"]), st.frozensets(roles)),
    st.dictionaries(st.sampled_from(sorted(DEFAULTS)), st.booleans()),
)


class Plugin:
    """What the plugin does with the commands that we send."""

    def __init__(self, state: State) -> None:
        self.roles, self.clients, self.defaults = dict(state.roles), dict(state.clients), dict(state.defaults)

    def take(self, command: dict[str, Any]) -> None:
        match command:
            case {"command": "setDefaultACLAccess", "acls": given}:
                self.defaults.update({acl["acltype"]: acl["allow"] for acl in given})
            case {"command": "deleteClient", "username": name}:
                del self.clients[name]
            case {"command": "deleteRole", "rolename": name}:
                del self.roles[name]
                self.clients = {client: held - {name} for client, held in self.clients.items()}
            case {"command": "createRole" | "modifyRole" as verb, "rolename": name, "acls": given}:
                assert (verb == "createRole") != (name in self.roles)
                self.roles[name] = frozenset((acl["acltype"], acl["topic"]) for acl in given)
            case {"command": "createClient", "username": name}:
                assert name not in self.clients
                self.clients[name] = frozenset()
            case {"command": "addClientRole", "username": name, "rolename": role}:
                assert role in self.roles
                self.clients[name] |= {role}
            case {"command": "modifyClient", "username": name, "roles": given}:
                self.clients[name] = frozenset(role["rolename"] for role in given)
            case _:
                raise AssertionError(command)


@given(states, tables)
def test_the_steps_lead_from_any_state_to_the_wanted_one(actual: State, table: AccessTable) -> None:
    wanted, plugin = wanted_state(table, TOPICS), Plugin(actual)
    for command in steps(actual, wanted):
        plugin.take(json.loads(json.dumps(command)))
    assert {name: acls for name, acls in plugin.roles.items() if is_ours(name)} == wanted.roles
    assert {name: held for name, held in plugin.clients.items() if is_ours(name)} == wanted.clients
    assert plugin.defaults == wanted.defaults


@given(states, tables)
def test_what_is_not_ours_stays(actual: State, table: AccessTable) -> None:
    plugin = Plugin(actual)
    for command in steps(actual, wanted_state(table, TOPICS)):
        plugin.take(command)
    foreign = {"home-assistant", "site-team", "z" * 32}
    assert foreign & plugin.roles.keys() == foreign & actual.roles.keys()
    assert foreign & plugin.clients.keys() == foreign & actual.clients.keys()


@given(tables)
def test_the_file_at_the_beginning_needs_no_steps(table: AccessTable) -> None:
    wanted = wanted_state(table, TOPICS)
    held: Any = json.loads(json.dumps(document(wanted)))
    read = read_state(held["roles"], held["clients"])
    assert steps(State(read.roles, read.clients, held["defaultACLAccess"]), wanted) == []


def test_those_that_lose_something_come_first() -> None:
    before = wanted_state(AccessTable({NodeId("a" * 32): Place("s", "n")}), TOPICS)
    after = wanted_state(AccessTable({NodeId("b" * 32): Place("s", "n")}), TOPICS)
    verbs = [command["command"] for command in steps(before, after)]
    assert verbs == ["deleteClient", "deleteRole", "createRole", "createClient", "addClientRole"]


def test_a_client_that_is_disabled_or_in_a_group_is_made_right() -> None:
    node = "a" * 32
    wanted = wanted_state(AccessTable({NodeId(node): Place("s", "n")}), TOPICS)
    for extra in ({"disabled": True}, {"groups": [{"groupname": "admins"}]}):
        held = read_state([], [{"username": node, "roles": [{"rolename": node}], **extra}])
        assert held.clients[node] != wanted.clients[node]


@given(
    st.binary() | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_any_answer_can_be_read(answer: object) -> None:
    payload = answer if isinstance(answer, bytes) else json.dumps({"responses": answer}).encode()
    found = answers_in(payload)
    read_state(found, found)
