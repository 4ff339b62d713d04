"""A report with evidence fits into one message, and what it says of the whole stays true."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_node.supervisor.fitted import MOST_SLICES, fewer_classes, fewer_slices, fitted
from protos.egress import Leaving, check
from protos.evidence import Evidence, ReportedTrial, merged
from protos.reported import Reported, ReportedDeployment
from protos.topics import MAX_PAYLOAD
from tests.unit.supervisor.world import NODE, digest

LATENCY = dict.fromkeys(range(-50, 150), 10**7)
LARGE = Evidence(
    samples=10**9, latency=LATENCY, confidence=(10**8,) * 20, classes={"x" * 120 + str(at): 10**8 for at in range(64)}
)


def report(*slices: Evidence, deployments: int = 1) -> Reported:
    trial = ReportedTrial("r1", 0, "on", evidence=slices, reference=slices)
    one = ReportedDeployment("shelf", "m", 2, digest(2), "running", trial=trial)
    return Reported(NODE, 1, 1, digest(7), "now", deployments=(one,) * deployments)


def slices_of(said: Reported) -> tuple[Evidence, ...]:
    trial = said.deployments[0].trial
    assert trial is not None
    return trial.evidence


def test_a_report_that_fits_is_as_it_was() -> None:
    said = report(Evidence("shelf", samples=3, classes={"cat": 3}))
    assert fitted(said) == said
    plain = Reported(NODE, 1, 1, None, "now", deployments=(ReportedDeployment("s", "m", 1, digest(1), "running"),))
    assert fitted(plain) == plain


def test_too_much_evidence_is_lessened_until_it_may_leave_and_its_sums_stay() -> None:
    slices = tuple(msgspec.structs.replace(LARGE, pipeline=f"p{at}", samples=at) for at in range(200))
    for deployments in (1, 6):
        payload = msgspec.json.encode(fitted(report(*slices, deployments=deployments)))
        assert len(payload) <= MAX_PAYLOAD
        assert check(Leaving.REPORTED, payload) is None
    left = slices_of(fitted(report(*slices)))
    assert sum(one.samples for one in left) == sum(one.samples for one in slices)
    assert left[0].pipeline == "p199"
    assert left[-1].pipeline == f"({200 - len(left) + 1} more)"


def test_where_nothing_else_helps_the_evidence_goes_and_the_verdict_stays() -> None:
    said = fitted(report(LARGE), most_bytes=400)
    assert slices_of(said) == ()
    assert said.deployments[0].trial is not None


def test_the_least_frequent_classes_are_counted_together() -> None:
    (one,) = fewer_classes((Evidence(classes={"a": 5, "b": 9, "c": 1, "": 2}),), 2)
    assert one.classes == {"b": 9, "a": 5, "": 3}
    (none,) = fewer_classes((Evidence(classes={"a": 5}),), 0)
    assert none.classes == {"": 5}


@given(st.lists(st.integers(0, 50), max_size=100), st.sampled_from((1, 2, 16, MOST_SLICES)))
def test_fewer_slices_are_the_same_sum_also_in_several_turns(samples: list[int], most: int) -> None:
    slices = tuple(Evidence(f"p{at}", samples=count, latency={1: count}) for at, count in enumerate(samples))
    once = fewer_slices(fewer_slices(slices, MOST_SLICES), most)
    assert len(once) <= most or not slices
    assert merged(once) == merged(slices)
    if len(slices) > most:
        assert once[-1].pipeline == f"({len(slices) - most + 1} more)"
