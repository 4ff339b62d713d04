"""The access rules as Mosquitto's dynamic security plugin wants them, and what to tell it so that it has them. Pure.

Every principal is a client of the plugin with one role: its own (a node, the coordinator), or the one of all readers.
The plugin knows no patterns for "the client's own name" before Mosquitto 2.1, hence a role with exact topics for each
node. Clients and roles that an administrator made under other names than ours are left alone.

What the plugin of Mosquitto 2.0.11 does with clients that log in by certificate was found out by trying
(docs/adr/0008-access-at-the-broker.md): a *disabled* client keeps its powers when it connects again, a deleted one has
none; deleting a client or giving it a role ends its session, creating it or changing its role's topics does not.

Source of commands and answers: mosquitto.org/documentation/dynamic-security.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coordinator.link.access import AccessTable, Grants, grants_of
from protos.errors import ContractError
from protos.principal import COORDINATOR, principal_of
from protos.topics import Topics

CONTROL = "$CONTROL/dynamic-security/v1"
RESPONSE = "$CONTROL/dynamic-security/v1/response"
READERS = "readers"
"""The role of people and programs."""

DEFAULTS = {"publishClientSend": False, "publishClientReceive": False, "subscribe": False, "unsubscribe": True}
"""What is allowed where no role says anything. The plugin's own default lets everyone receive."""

Acl = tuple[str, str]
"""The kind of access and the topic filter that is allowed."""
Command = dict[str, object]


@dataclass(frozen=True)
class State:
    """What the plugin holds: the topics of each role, the roles of each client, the defaults."""

    roles: Mapping[str, frozenset[Acl]] = field(default_factory=dict)
    clients: Mapping[str, frozenset[str]] = field(default_factory=dict)
    defaults: Mapping[str, bool] = field(default_factory=dict)


def wanted_state(table: AccessTable, topics: Topics) -> State:
    """What the plugin should hold."""
    roles = {COORDINATOR.common_name: _coordinator(topics), READERS: frozenset[Acl]()}
    clients = {COORDINATOR.common_name: frozenset({COORDINATOR.common_name})}
    for node in table.places:
        roles[node] = _acls(grants_of(node, table, topics))
        clients[node] = frozenset({str(node)})
    for reader in table.readers:
        roles[READERS] = _acls(grants_of(reader, table, topics))
        clients[reader] = frozenset({READERS})
    return State(roles, clients, DEFAULTS)


def document(state: State) -> dict[str, object]:
    """The plugin's file, as it reads it when Mosquitto starts."""
    clients = [{"username": name, "roles": _role_list(roles)} for name, roles in sorted(state.clients.items())]
    roles = [{"rolename": name, "acls": _acl_list(acls)} for name, acls in sorted(state.roles.items())]
    return {"defaultACLAccess": dict(state.defaults), "clients": clients, "groups": [], "roles": roles}


def steps(actual: State, wanted: State) -> list[Command]:
    """The commands that make the one state the other: those that take something away come first."""
    clients, roles = _gone(actual.clients, wanted.clients), _gone(actual.roles, wanted.roles)
    return [
        *_defaults(actual, wanted),
        *[Command(command="deleteClient", username=name) for name in clients],
        *[Command(command="deleteRole", rolename=name) for name in roles],
        *_roles(actual, wanted),
        *_clients(actual, wanted),
    ]


def is_ours(name: str) -> bool:
    """Whether a client's or role's name is one that the coordinator manages."""
    try:
        principal_of(name)
    except ContractError:
        return name == READERS
    return True


def read_state(roles: Iterable[Mapping[str, object]], clients: Iterable[Mapping[str, object]]) -> State:
    """What verbose lists of roles and clients say, of ours; the defaults are another answer.

    Anything unexpected in an entry makes it differ from what is wanted, so that it is written again.
    """
    return State(
        roles={str(role.get("rolename")): _read_acls(role) for role in roles},
        clients={str(client.get("username")): _read_roles(client) for client in clients},
    )


def _acls(grants: Grants | None) -> frozenset[Acl]:
    given = Grants() if grants is None else grants
    sends = {("publishClientSend", topic) for topic in given.publish}
    reads = {(kind, topic) for topic in given.read for kind in ("publishClientReceive", "subscribePattern")}
    return frozenset(sends | reads)


def _coordinator(topics: Topics) -> frozenset[Acl]:
    control = Grants(publish=(CONTROL,), read=(RESPONSE,))
    return _acls(grants_of(COORDINATOR.common_name, AccessTable(), topics)) | _acls(control)


def _gone(actual: Iterable[str], wanted: Mapping[str, object]) -> list[str]:
    return sorted(name for name in actual if name not in wanted and is_ours(name))


def _defaults(actual: State, wanted: State) -> list[Command]:
    if dict(actual.defaults) == dict(wanted.defaults):
        return []
    acls = [{"acltype": kind, "allow": allow} for kind, allow in wanted.defaults.items()]
    return [{"command": "setDefaultACLAccess", "acls": acls}]


def _roles(actual: State, wanted: State) -> list[Command]:
    return [
        {
            "command": "modifyRole" if name in actual.roles else "createRole",
            "rolename": name,
            "acls": _acl_list(acls),
        }
        for name, acls in sorted(wanted.roles.items())
        if actual.roles.get(name) != acls
    ]


def _clients(actual: State, wanted: State) -> list[Command]:
    """A new client gets its role in a second step: that ends a session that it opened before it could do anything,
    whose subscriptions were refused. It connects again and is heard."""
    commands: list[Command] = []
    for name, roles in sorted(wanted.clients.items()):
        if name not in actual.clients:
            commands.append({"command": "createClient", "username": name})
            commands += [{"command": "addClientRole", "username": name, "rolename": role} for role in sorted(roles)]
        elif actual.clients[name] != roles:
            commands.append({"command": "modifyClient", "username": name, "roles": _role_list(roles), "groups": []})
    return commands


def _role_list(roles: Iterable[str]) -> list[dict[str, str]]:
    return [{"rolename": role} for role in sorted(roles)]


def _acl_list(acls: Iterable[Acl]) -> list[dict[str, object]]:
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in sorted(acls)]


def _read_acls(role: Mapping[str, object]) -> frozenset[Acl]:
    return frozenset(
        (str(acl.get("acltype")), str(acl.get("topic"))) if acl.get("allow") is True else ("denied", "")
        for acl in _entries(role.get("acls"))
    )


def _read_roles(client: Mapping[str, object]) -> frozenset[str]:
    """The roles of a client; a group would give it others, and counts as one that is not wanted."""
    groups = {f"group {group.get('groupname')}" for group in _entries(client.get("groups"))}
    disabled = {"disabled"} if client.get("disabled") else set()
    return frozenset({str(role.get("rolename")) for role in _entries(client.get("roles"))} | groups | disabled)


def _entries(value: object) -> Sequence[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
