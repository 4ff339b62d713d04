"""Who may call what: one table of methods and roles. Pure.

Every method of every service stands here (a test compares); what does not is refused. Nodes do their own things only:
who a node is comes from its certificate, never from what it asks. A bundle's digest is known to those that were told
to run it, so content by digest needs no further rule.
"""

from protos.principal import Principal, Role

PACKAGE = "/nearfield.fleet.v1."

READERS = frozenset({Role.VIEWER, Role.OPERATOR, Role.PUBLISHER, Role.ADMIN})
OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN})
PUBLISHERS = frozenset({Role.PUBLISHER, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
NODES = frozenset({Role.NODE})
CONTENT = READERS | NODES

ALLOWED: dict[str, frozenset[Role]] = {
    "NodeService/RegisterNode": NODES,
    "NodeService/ListNodes": READERS,
    "NodeService/GetNode": READERS,
    "NodeService/RenameNode": OPERATORS,
    "NodeService/DeleteNode": ADMINS,
    "ArtifactService/StatBlob": READERS,
    "ArtifactService/PushBlob": PUBLISHERS,
    "ArtifactService/FetchBlob": CONTENT,
    "ArtifactService/GetManifest": CONTENT,
    "ModelService/PublishVersion": PUBLISHERS,
    "ModelService/ListModels": READERS,
    "ModelService/GetVersion": READERS,
    "ModelService/VerifyVersion": READERS,
    "ModelService/DeleteVersion": ADMINS,
    "ModelService/SignVersion": PUBLISHERS,
    "ModelService/PermitDowngrade": PUBLISHERS,
    "TrustService/GetTrust": READERS,
    "TrustService/PushRoot": PUBLISHERS,
    "NodeService/CommandNode": OPERATORS,
    "DeploymentService/ApplyDeployment": OPERATORS,
    "DeploymentService/ApplyDeploymentNow": ADMINS,
    "DeploymentService/ListDeployments": READERS,
    "DeploymentService/GetDeployment": READERS,
    "DeploymentService/DeleteDeployment": OPERATORS,
    "DeploymentService/DeleteDeploymentNow": ADMINS,
    "RolloutService/CreateRollout": OPERATORS,
    "RolloutService/PlanRollout": READERS,
    "RolloutService/ListRollouts": READERS,
    "RolloutService/GetRollout": READERS,
    "RolloutService/OrderRollout": OPERATORS,
    "RolloutService/MeasureRollout": OPERATORS,
    "ResultService/QueryResults": READERS,
    "ResultService/TailResults": READERS,
    "ResultService/CountResults": READERS,
    "ResultService/LabelResults": OPERATORS,
    "ResultService/GetAccuracy": READERS,
    "SystemService/GetStatus": READERS,
    "AuditService/ListEntries": OPERATORS,
    "AccessService/CreateJoinTokens": OPERATORS,
    "AccessService/ListJoinTokens": OPERATORS,
    "AccessService/DeleteJoinToken": OPERATORS,
    "AccessService/RevokeNode": ADMINS,
    "AccessService/ReplaceNode": ADMINS,
    "AccessService/IssueCredential": ADMINS,
    "AccessService/ListCredentials": ADMINS,
    "AccessService/RevokeCredential": ADMINS,
    "AccessService/IssueBrokerCertificate": ADMINS,
}
"""Method → the roles that may call it."""

APPROVERS = ADMINS
"""Who may promote a rollout that waits for approval; whatever else is ordered of one needs `OrderRollout` alone."""

LEAST_FIRST = (Role.VIEWER, Role.OPERATOR, Role.PUBLISHER, Role.ADMIN)
"""In which order roles are offered: never more power than is needed."""

EVERYBODY = "/grpc.health.v1.Health/"
"""Open to every certificate."""


def refusal(method: str, principal: Principal) -> str:
    """Why a principal may not call a method (`/package.Service/Method`), in one line; empty where it may."""
    if method.startswith(EVERYBODY):
        return ""
    allowed = ALLOWED.get(method.removeprefix(PACKAGE), frozenset())
    if principal.role in allowed:
        return ""
    action = method.rpartition("/")[2]
    if not allowed:
        return f"{principal.common_name} may not call {action}: nobody may"
    if allowed == NODES:
        return f"{principal.common_name} may not call {action}: only nodes do"
    roles = [role for role in LEAST_FIRST if role in allowed]
    return (
        f"{principal.common_name} may not call {action}, it needs the role {' or '.join(roles)}: an administrator "
        f"gives it with edgectl credential create NAME --role {roles[0]}"
    )


def may_approve(principal: Principal | None) -> bool:
    """Whether a caller may let a rollout begin that waits for approval."""
    return principal is not None and principal.role in APPROVERS
