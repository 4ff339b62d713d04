"""What this node thinks of a version that is not its last good one, and for how long that counts. Pure.

A version that was sent back is not tried again until the trial's `attempt` rises or another version is wanted: never a
restart loop. Verdicts are kept on the disk (`verdicts.py`); how they are come to is `watch.py` and `probation.py`.
"""

from typing import Literal

import msgspec

from protos.desired import DesiredDeployment
from protos.digest import Digest


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one version in one deployment. `starts` is how often the agent was started while it was on."""

    digest: Digest
    attempt: int
    state: Literal["on", "passed", "returned"]
    reason: str = ""
    starts: int = 0


def attempt_of(target: DesiredDeployment) -> int:
    """The attempt that a deployment asks for; the first without a trial."""
    return 0 if target.trial is None else target.trial.attempt


def counts(verdict: Verdict | None, target: DesiredDeployment) -> bool:
    """Whether a verdict is of this version at this attempt; a document without a trial asks for no other."""
    if verdict is None or verdict.digest != target.digest:
        return False
    return target.trial is None or target.trial.attempt <= verdict.attempt


def settled(target: DesiredDeployment) -> DesiredDeployment:
    """The deployment as it is kept to fall back on: without what is tried on top of it."""
    return msgspec.structs.replace(target, trial=None, shadow=None)
