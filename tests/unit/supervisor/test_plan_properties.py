"""The plan, from any state: it converges, never drops what serves, and repeats harmlessly."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge_node.engine.select import Choice, NoChoice
from edge_node.supervisor import steps as s
from edge_node.supervisor.actual import Actual, ChoiceKey, Failure, Offered, RunningPipeline
from edge_node.supervisor.offering import serving_of
from edge_node.supervisor.plan import plan, without_clashes
from edge_node.supervisor.watch import PROBATION_S
from protos.deployment import Pipeline, Serving
from protos.desired import Desired, DesiredDeployment
from protos.digest import Digest
from tests.unit.supervisor.world import (
    FACTS,
    applied,
    chosen,
    deployment,
    desired,
    digest,
    doable,
    failed,
    session,
    waits,
)

VERSIONS = (1, 2, 3)
NAMES = ("shelf", "door")
REFUSED = NoChoice("agreement 0.2 against 1.0")
CHOICES: st.SearchStrategy[Choice | NoChoice] = st.sampled_from((chosen(), REFUSED))
LATER = replace(FACTS, now=FACTS.now + 1000.0)

versions = st.sampled_from(VERSIONS)
pipelines = st.builds(
    Pipeline,
    name=st.sampled_from(NAMES),
    source=st.sampled_from(("shelf", "door", "unheard-of")),
    top_k=st.sampled_from((None, 3)),
)
SEVERAL = Serving(instances=2)
servings = st.none() | st.sampled_from((Serving(), SEVERAL, Serving(enabled=False)))
deployments = st.builds(
    lambda name, version, pipelines, strategy, serving: deployment(
        version, name, pipelines=tuple(pipelines), strategy=strategy, serving=serving
    ),
    st.sampled_from(NAMES),
    versions,
    st.lists(pipelines, min_size=0, max_size=2, unique_by=lambda pipeline: pipeline.name),
    st.sampled_from(("switch_when_ready", "stop_first")),
    servings,
)
documents = st.lists(deployments, max_size=2, unique_by=lambda wanted: wanted.name).map(lambda all_: desired(*all_))
subjects = st.sampled_from(
    [
        s.WORKER,
        s.SERVING,
        s.offer_subjects(session(1))[0],
        *(s.bundle_subject(digest(v)) for v in VERSIONS),
        *(s.session_subject(session(v)) for v in VERSIONS),
    ]
)


OFFERS = st.builds(Offered, st.sampled_from(NAMES), st.just(990.0))
OFFERED = Offered("shelf", 990.0)
LOST = st.frozensets(st.sampled_from([session(v) for v in VERSIONS]))
"""Sessions that went with a worker and that the serving process waits for."""


@st.composite
def states(draw: st.DrawFn) -> Actual:
    """Any state that a node can be in: what is loaded is on the disk and proven, what runs is loaded."""
    known = draw(st.frozensets(st.sampled_from([digest(v) for v in VERSIONS])))
    complete = frozenset(d for d in known if draw(st.booleans()))
    choices: dict[ChoiceKey, Choice | NoChoice] = {
        (d, None): draw(CHOICES) for d in sorted(complete) if draw(st.booleans())
    }
    worker = draw(st.booleans())
    proven = [v for v in VERSIONS if isinstance(choices.get((digest(v), None)), Choice)]
    loadable = [session(v, serving) for v in proven for serving in (None, SEVERAL)]
    sessions = draw(st.frozensets(st.sampled_from(loadable))) if loadable and worker else frozenset()
    captures = draw(st.frozensets(st.sampled_from(("shelf", "door"))))
    running = draw(st.dictionaries(st.sampled_from(NAMES), _running(sorted(sessions, key=str)))) if sessions else {}
    serving = draw(st.booleans())
    offered = draw(st.dictionaries(st.sampled_from(sorted(sessions, key=str)), OFFERS)) if sessions and serving else {}
    offered |= {one: replace(OFFERED, connected=False) for one in draw(LOST) - sessions if serving}
    return Actual(
        known=known,
        complete=complete,
        verified=frozenset(d for d in complete if draw(st.booleans())),
        choices=choices,
        worker=worker,
        sessions=sessions,
        captures=captures,
        pipelines={name: replace(r, settings=Pipeline(name=name, source="shelf")) for name, r in running.items()},
        serving=serving,
        offered=offered,
        last_good=draw(st.dictionaries(st.sampled_from(NAMES), versions.map(deployment), max_size=2)),
        failures=draw(st.dictionaries(subjects, st.builds(Failure, st.just("broken"), st.just(2), st.just(1010.0)))),
    )


def _running(loaded: list[object]) -> st.SearchStrategy[RunningPipeline]:
    return st.builds(
        RunningPipeline,
        deployment=st.sampled_from(NAMES),
        settings=st.just(Pipeline(name="x", source="shelf")),
        session=st.sampled_from(loaded),
        since=st.just(990.0),
    )


def refused_digests(actual: Actual) -> set[Digest]:
    return {key[0] for key, choice in actual.choices.items() if isinstance(choice, NoChoice)}


def hopeless(actual: Actual) -> set[Digest]:
    """The versions that are not gone for any more."""
    return refused_digests(actual) | {one.digest for one in actual.verdicts.values() if one.state == "returned"}


def served(wanted: DesiredDeployment, actual: Actual) -> bool:
    """Whether every pipeline with a source runs on the wanted version, and clients who should be are answered by it."""
    places = [pipeline for pipeline in wanted.pipelines if pipeline.source in FACTS.sources]
    running = [actual.pipelines.get(pipeline.name) for pipeline in places]
    settings = serving_of(wanted, FACTS.serve)
    chosen_one = session(wanted.version, settings)
    offers = {(one.model, one.version) for one, offer in actual.offered.items() if offer.connected}
    return (settings is None or ("m", wanted.version) in offers) and all(
        one is not None and one.session == chosen_one and one.settings == place
        for one, place in zip(running, places, strict=True)
    )


@given(documents, states(), st.data())
def test_in_any_order_and_with_failures_the_plan_converges_to_desired(
    wanted: Desired, actual: Actual, data: st.DataObject
) -> None:
    facts, failures_left = FACTS, 4
    for _ in range(120):
        steps = doable(wanted, actual, facts)
        if not steps and facts == LATER:
            break
        if not steps:
            facts = LATER
            continue
        step = data.draw(st.sampled_from(steps))
        fails = failures_left > 0 and data.draw(st.integers(0, 4)) == 0
        failures_left -= fails
        actual = failed(actual, step, facts) if fails else applied(actual, step)
        facts = replace(facts, now=facts.now + 30.0) if fails else facts
    rest = replace(LATER, now=LATER.now + PROBATION_S + 1000.0)
    for _ in range(120):
        steps = doable(wanted, actual, rest)
        if not steps:
            break
        actual = applied(actual, steps[0])
    assert doable(wanted, actual, rest) == []
    targets, clashes = without_clashes(wanted.deployments)
    given_up = hopeless(actual)
    assert all(served(target, actual) for target in targets if target.digest not in given_up)
    explained = {wait.deployment for wait in waits(wanted, actual, rest)}
    assert all(target.name in explained for target in targets if target.digest in refused_digests(actual))
    assert all(clash.deployment in explained for clash in clashes)


@given(documents, states(), st.data())
def test_a_wanted_pipeline_that_serves_goes_on_serving(wanted: Desired, actual: Actual, data: st.DataObject) -> None:
    targets, _ = without_clashes(wanted.deployments)
    protected = {
        pipeline.name
        for target in targets
        if target.strategy == "switch_when_ready"
        for pipeline in target.pipelines
        if pipeline.name in actual.pipelines
        and pipeline.source == actual.pipelines[pipeline.name].settings.source
        and actual.pipelines[pipeline.name].deployment == target.name
    }
    for _ in range(60):
        steps = doable(wanted, actual, LATER)
        if not steps:
            break
        actual = applied(actual, data.draw(st.sampled_from(steps)))
        assert protected <= actual.pipelines.keys()
        assert all(actual.pipelines[name].session in actual.sessions for name in protected)


@given(documents, states())
def test_every_step_may_be_repeated(wanted: Desired, actual: Actual) -> None:
    for step in doable(wanted, actual, LATER):
        once = applied(actual, step)
        if isinstance(step, s.Load):
            continue  # a second load asks for freshly hashed bytes; the worker answers it without loading again
        assert applied(once, step) == once


@given(documents, states())
def test_a_bundle_that_a_deployment_may_fall_back_on_is_never_removed(wanted: Desired, actual: Actual) -> None:
    targets, _ = without_clashes(wanted.deployments)
    needed = {target.digest for target in targets} | {session.digest for session in actual.sessions}
    needed |= {actual.last_good[target.name].digest for target in targets if target.name in actual.last_good}
    removed = {step.digest for step in plan(wanted, actual, LATER) if isinstance(step, s.Remove)}
    assert not removed & needed


@given(documents, states())
def test_what_was_refused_is_never_loaded(wanted: Desired, actual: Actual) -> None:
    loads = {step.session.digest for step in plan(wanted, actual, LATER) if isinstance(step, s.Load)}
    assert not loads & refused_digests(actual)


@given(documents, states(), st.data())
def test_clients_of_a_model_find_it_at_every_moment_of_a_change(
    wanted: Desired, actual: Actual, data: st.DataObject
) -> None:
    targets, _ = without_clashes(wanted.deployments)
    asked = [target for target in targets if serving_of(target, FACTS.serve) is not None]
    names = {target.name for target in asked if target.strategy == "switch_when_ready"}
    protected = any(one.deployment in names and one.connected for one in actual.offered.values())
    for _ in range(60):
        steps = doable(wanted, actual, LATER)
        if not steps or not protected:
            break
        actual = applied(actual, data.draw(st.sampled_from(steps)))
        connected = {session for session, offer in actual.offered.items() if offer.connected}
        assert connected, "the new session is offered before the old one is withdrawn"
        assert connected <= actual.sessions


@given(documents, states())
def test_where_the_node_serves_nobody_nothing_is_offered(wanted: Desired, actual: Actual) -> None:
    rest = replace(LATER, serve=False)
    for _ in range(120):
        steps = doable(wanted, actual, rest)
        if not steps:
            break
        actual = applied(actual, steps[0])
    assert not actual.offered
    assert not actual.serving
