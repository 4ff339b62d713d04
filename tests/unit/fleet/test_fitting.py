"""Whether what a model gives may leave the nodes that a deployment selects."""

import msgspec
import pytest

from coordinator.errors import Refused
from coordinator.fleet.fitting import check_egress
from protos.bundle import Manifest, Task
from protos.deployment import MOST_EGRESS, Deployment, Egress, Pipeline, parse_deployment
from protos.errors import ContractError
from tests.unit.fleet.examples import MANIFEST


def spec(egress: Egress) -> Deployment:
    """A deployment of one pipeline."""
    return Deployment("speech", "", "vad@1", (Pipeline("speech", "microphone", egress=egress),))


def manifest(task: Task) -> Manifest:
    """A bundle of a task."""
    return msgspec.structs.replace(MANIFEST, task=task)


@pytest.mark.parametrize("task", [Task.TENSOR, Task.EMBEDDING])
def test_raw_outputs_have_to_be_declared_and_the_line_says_how(task: Task) -> None:
    line = rf"deployment 'speech': pipeline 'speech': .*\({task}\).* add egress: \{{ {task}: BYTES \}} to the pipeline"
    with pytest.raises(Refused, match=line):
        check_egress(spec(Egress()), manifest(task))
    check_egress(spec(Egress(tensor=4096, embedding=4096)), manifest(task))


def test_findings_need_no_declaration() -> None:
    for task in (Task.CLASSIFICATION, Task.DETECTION, Task.ANOMALY):
        check_egress(spec(Egress()), manifest(task))


@pytest.mark.parametrize("egress", [{"tensor": 0}, {"tensor": MOST_EGRESS + 1}, {"images": 4096}, {"tensor": "all"}])
def test_a_declaration_is_a_number_of_bytes_of_what_may_be_declared(egress: dict[str, object]) -> None:
    document = {
        "name": "d",
        "selector": "",
        "model": "m@1",
        "pipelines": [{"name": "p", "source": "s", "egress": egress}],
    }
    with pytest.raises(ContractError, match="egress"):
        parse_deployment(document, "d.yaml")
