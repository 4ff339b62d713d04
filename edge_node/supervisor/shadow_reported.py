"""What the node reports of a candidate that is to run beside the current version. Pure."""

from collections.abc import Sequence

from edge_node.supervisor.actual import Actual
from edge_node.supervisor.shadow_steps import shadow_subject
from edge_node.supervisor.steps import Step, Wait
from protos.desired import DesiredDeployment
from protos.egress_fields import LONGEST_LINE
from protos.evidence import ReportedShadow


def shadow_reported(target: DesiredDeployment, actual: Actual, plan: Sequence[Step]) -> ReportedShadow | None:
    """How the shadow that a deployment wants stands; None where it wants none.

    Args:
        target: the deployment.
        actual: what the node has and does.
        plan: the newest plan: its waits are the reasons.
    """
    wanted, stands = target.shadow, actual.shadows.get(target.name)
    if wanted is None:
        return None
    if stands is not None and stands.shadow == wanted and stands.told is not None:
        return stands.told
    waits = (step for step in plan if isinstance(step, Wait) and step.deployment == shadow_subject(target.name))
    reason = "; ".join(wait.reason for wait in waits)
    return ReportedShadow(wanted.rollout, wanted.attempt, "pending", reason=reason[:LONGEST_LINE])
