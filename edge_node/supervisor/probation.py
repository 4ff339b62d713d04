"""When a version becomes the one to fall back on. Pure.

It has to serve every pipeline of its deployment for `PROBATION_S`, answering frames and without the worker dying of
it; where there are no pipelines, to be offered to clients for as long. Until then the version before it stays on the
disk. The first version of a deployment has no probation: there is nothing better.
"""

from edge_node.supervisor.actual import Actual, Facts, Session
from edge_node.supervisor.steps import Promote, Step, Wait, session_subject
from protos.desired import DesiredDeployment

PROBATION_S = 10.0


def probation(target: DesiredDeployment, session: Session, actual: Actual, facts: Facts) -> tuple[Step, ...]:
    """Promote a version that has proved itself in service, wait for one that has not, nothing for one that had."""
    good = actual.last_good.get(target.name)
    if good == target and session_subject(session) not in actual.failures:
        return ()
    if not target.pipelines:
        offered = actual.offered.get(session)
        return () if offered is None or not offered.connected else _passed(target, good, offered.since, facts)
    running = [actual.pipelines.get(pipeline.name) for pipeline in target.pipelines]
    since = [pipeline.since for pipeline in running if pipeline is not None and pipeline.session == session]
    if len(since) < len(running) or any(pipeline.name in actual.failing for pipeline in target.pipelines):
        return ()
    return _passed(target, good, max(since), facts)


def _passed(target: DesiredDeployment, good: DesiredDeployment | None, since: float, facts: Facts) -> tuple[Step, ...]:
    passes_at = since + PROBATION_S
    if good is None or facts.now >= passes_at:
        return (Promote(target.name, target),)
    return (Wait(target.name, f"version {target.version} serves; on probation", until=passes_at),)
