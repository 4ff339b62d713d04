"""A model of the world for the plan: what each step does to the state when it succeeds, on which terms."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from edge_node.engine.proof import VariantProof
from edge_node.engine.select import Choice, NoChoice
from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Actual, Facts, Offered, RunningPipeline, Session
from edge_node.supervisor.backoff import failed_again
from edge_node.supervisor.plan import plan
from protos.deployment import Pipeline, Serving
from protos.desired import Desired, DesiredDeployment
from protos.digest import Digest, digest_of, short
from protos.identity import NodeId

S = TypeVar("S", bound=s.Step)
NODE = NodeId("0" * 32)
FACTS = Facts(now=1000.0, sources=frozenset({"shelf", "door"}), coordinator=True)


def digest(version: int) -> Digest:
    """The digest of a version's bundle."""
    return digest_of(b"bundle %d" % version)


def deployment(version: int = 1, name: str = "shelf", **changes: object) -> DesiredDeployment:
    """A deployment with one pipeline of the same name on the source of the same name."""
    pipelines = (Pipeline(name=name, source="shelf"),)
    fields = {"name": name, "model": "m", "version": version, "digest": digest(version), "pipelines": pipelines}
    return DesiredDeployment(**{**fields, **changes})  # type: ignore[arg-type]


def desired(*deployments: DesiredDeployment) -> Desired:
    """A desired document."""
    return Desired(
        node=NODE, epoch=1, revision=1, issued_at="", name="cam", site="store", deployments=tuple(deployments)
    )


def session(version: int = 1, serving: Serving | None = None) -> Session:
    """The session of a version."""
    return Session("m", version, digest(version), "m.onnx", serving)


def chosen(p95_ms: float = 5.0) -> Choice:
    """A proof that agrees."""
    return Choice(VariantProof("m.onnx", "stub", "1", "cpu", 1, vectors=3, agrees=True, p95_ms=p95_ms), "the only one")


def _fetch(actual: Actual, step: s.Fetch) -> Actual:
    return replace(actual, known=actual.known | {step.digest}, complete=actual.complete | {step.digest})


def _verify(actual: Actual, step: s.Verify) -> Actual:
    assert step.digest in actual.complete
    return replace(actual, verified=actual.verified | {step.digest})


def _remove(actual: Actual, step: s.Remove) -> Actual:
    assert step.digest not in {session.digest for session in actual.sessions}
    gone = {step.digest}
    held = {digest: one for digest, one in actual.held.items() if digest not in gone}
    left = replace(actual, held=held, known=actual.known - gone, complete=actual.complete - gone)
    return replace(left, verified=actual.verified - gone)


def _prove(actual: Actual, step: s.Prove) -> Actual:
    assert step.digest in actual.verified
    return replace(actual, choices={**actual.choices, (step.digest, step.variant): chosen()})


def _start_worker(actual: Actual, step: s.StartWorker) -> Actual:
    return replace(actual, worker=True)


def _stop_worker(actual: Actual, step: s.StopWorker) -> Actual:
    assert not actual.sessions
    return replace(actual, worker=False)


def _load(actual: Actual, step: s.Load) -> Actual:
    assert actual.worker
    assert step.session.digest in actual.verified, "every load is of bytes that were just hashed"
    verified = actual.verified - {step.session.digest}
    return replace(actual, sessions=actual.sessions | {step.session}, verified=verified)


def _unload(actual: Actual, step: s.Unload) -> Actual:
    assert step.session not in {running.session for running in actual.pipelines.values()}
    assert step.session not in actual.offered
    return replace(actual, sessions=actual.sessions - {step.session})


def _run(actual: Actual, step: s.PipelineStep) -> Actual:
    assert step.session in actual.sessions
    running = RunningPipeline(step.deployment, step.settings, step.session, FACTS.now)
    return replace(actual, pipelines={**actual.pipelines, step.settings.name: running})


def _start_pipeline(actual: Actual, step: s.StartPipeline) -> Actual:
    assert step.settings.source in actual.captures
    return _run(actual, step)


def _stop_pipeline(actual: Actual, step: s.StopPipeline) -> Actual:
    rest = {name: running for name, running in actual.pipelines.items() if name != step.running.settings.name}
    return replace(actual, pipelines=rest)


def _start_capture(actual: Actual, step: s.StartCapture) -> Actual:
    assert step.source in FACTS.sources
    return replace(actual, captures=actual.captures | {step.source})


def _stop_capture(actual: Actual, step: s.StopCapture) -> Actual:
    assert step.source not in {running.settings.source for running in actual.pipelines.values()}
    return replace(actual, captures=actual.captures - {step.source})


def _start_serving(actual: Actual, step: s.StartServing) -> Actual:
    return replace(actual, serving=True)


def _stop_serving(actual: Actual, step: s.StopServing) -> Actual:
    assert not actual.offered
    return replace(actual, serving=False)


def _offer(actual: Actual, step: s.Offer) -> Actual:
    assert actual.serving
    assert step.session in actual.sessions
    offered = Offered(step.deployment, FACTS.now)
    return replace(actual, offered={**actual.offered, step.session: offered})


def _withdraw(actual: Actual, step: s.Withdraw) -> Actual:
    return replace(actual, offered={one: offer for one, offer in actual.offered.items() if one != step.session})


def _promote(actual: Actual, step: s.Promote) -> Actual:
    serving = {running.session for running in actual.pipelines.values() if running.deployment == step.deployment}
    serving |= {session for session, one in actual.offered.items() if one.deployment == step.deployment}
    cleared = {s.session_subject(session) for session in serving}
    failures = {key: failure for key, failure in actual.failures.items() if key not in cleared}
    return replace(actual, last_good={**actual.last_good, step.deployment: step.version}, failures=failures)


def _judge(actual: Actual, step: s.Judge) -> Actual:
    before = actual.verdicts.get(step.deployment)
    rest = {name: verdict for name, verdict in actual.verdicts.items() if name != step.deployment}
    if before not in (None, step.verdict) and (step.verdict is None or step.verdict.state == "on"):
        actual = _forgiven(actual, before.digest)
    return replace(actual, verdicts=rest if step.verdict is None else {**rest, step.deployment: step.verdict})


def _forgiven(actual: Actual, digest: Digest) -> Actual:
    choices = {key: choice for key, choice in actual.choices.items() if key[0] != digest or isinstance(choice, Choice)}
    failures = {key: one for key, one in actual.failures.items() if short(digest) not in key}
    return replace(actual, choices=choices, failures=failures)


def _forget(actual: Actual, step: s.Forget) -> Actual:
    rest = {name: version for name, version in actual.last_good.items() if name != step.deployment}
    return replace(actual, last_good=rest)


EFFECTS: dict[type[s.Step], Callable[..., Actual]] = {
    s.Fetch: _fetch,
    s.Verify: _verify,
    s.Remove: _remove,
    s.Prove: _prove,
    s.StartWorker: _start_worker,
    s.StopWorker: _stop_worker,
    s.Load: _load,
    s.Unload: _unload,
    s.StartPipeline: _start_pipeline,
    s.Switch: _run,
    s.StopPipeline: _stop_pipeline,
    s.StartCapture: _start_capture,
    s.StopCapture: _stop_capture,
    s.StartServing: _start_serving,
    s.StopServing: _stop_serving,
    s.Offer: _offer,
    s.Withdraw: _withdraw,
    s.Promote: _promote,
    s.Judge: _judge,
    s.Forget: _forget,
}


def applied(actual: Actual, step: s.Step) -> Actual:
    """The state after a step succeeded; asserts the terms on which the step may be taken."""
    after: Actual = EFFECTS[type(step)](actual, step)
    return after


def failed(actual: Actual, step: s.Step, facts: Facts, reason: str = "no memory") -> Actual:
    """The state after a step failed."""
    subject = step.subjects[0]
    return replace(
        actual, failures={**actual.failures, subject: failed_again(actual.failures.get(subject), reason, facts.now)}
    )


def refused(actual: Actual, version: int, reason: str) -> Actual:
    """The state after the golden vectors of a version did not agree."""
    return replace(actual, choices={**actual.choices, (digest(version), None): NoChoice(reason)})


def doable(wanted: Desired | None, actual: Actual, facts: Facts = FACTS) -> list[s.Step]:
    """The steps of the plan that are no waits."""
    return [step for step in plan(wanted, actual, facts) if not isinstance(step, s.Wait)]


def waits(wanted: Desired | None, actual: Actual, facts: Facts = FACTS) -> list[s.Wait]:
    """What the plan waits for."""
    return [step for step in plan(wanted, actual, facts) if isinstance(step, s.Wait)]


def settled(wanted: Desired | None, actual: Actual, facts: Facts = FACTS) -> tuple[Actual, list[s.Step]]:
    """The state once nothing is left to do, and the steps that led there, always the first of the plan."""
    taken: list[s.Step] = []
    while steps := doable(wanted, actual, facts):
        assert len(taken) < 200, f"the plan does not come to rest: {taken[-6:]}"
        actual = applied(actual, steps[0])
        taken.append(steps[0])
    return actual, taken
