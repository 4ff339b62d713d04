"""Principals: who a certificate speaks for, and what role that is.

A certificate's common name is all that identifies: a node's immutable id, `coordinator`, or `<role>:<name>` for
people and programs. The name is what brokers see too, so one word means the same in gRPC, MQTT and the audit log.

    principal_of("9f2c…e1")       -> Principal(Role.NODE, "9f2c…e1")
    principal_of("admin:alice")   -> Principal(Role.ADMIN, "alice")
"""

from dataclasses import dataclass
from enum import StrEnum

from protos.errors import ContractError
from protos.identity import checked_name, is_id

SERVER_NAME = "coordinator.nearfield"
"""The DNS name in a coordinator's own certificate, and in no other. Nodes and edgectl pin the authority and expect this
name of who answers their calls, whatever address they dial."""
BROKER_NAME = "broker.nearfield"
"""The DNS name in the certificates of brokers of a coordinator's authority, the coordinator's own among them: what MQTT
clients that pin the authority expect. A broker elsewhere thus cannot pass for the coordinator."""
RESERVED_DOMAIN = "nearfield"
"""No other name below it is certified."""


class Role(StrEnum):
    """What a principal is."""

    COORDINATOR = "coordinator"
    NODE = "node"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    PUBLISHER = "publisher"


NAMED_ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.PUBLISHER)
"""The roles of people and programs."""


@dataclass(frozen=True)
class Principal:
    """Somebody with a certificate; `name` is a node's id, a person's name, or empty for the coordinator."""

    role: Role
    name: str

    @property
    def common_name(self) -> str:
        """As it stands in the certificate."""
        if self.role is Role.NODE:
            return self.name
        return f"{self.role}:{self.name}" if self.name else str(self.role)


COORDINATOR = Principal(Role.COORDINATOR, "")


def principal_of(common_name: str) -> Principal:
    """The principal that a common name stands for.

    Raises:
        ContractError: it stands for none.
    """
    if is_id(common_name):
        return Principal(Role.NODE, common_name)
    if common_name == Role.COORDINATOR:
        return COORDINATOR
    role, colon, name = common_name.partition(":")
    if not colon or role not in NAMED_ROLES:
        raise ContractError(
            f"{common_name!r} is no principal: a node's id, or ROLE:NAME with a role of {', '.join(NAMED_ROLES)}"
        )
    return Principal(Role(role), checked_name(name, f"{role} name"))
