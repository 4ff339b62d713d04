"""From the options of a command line to the answers that authoring asks for."""

import argparse

from edge_node.authoring.draft import Answers
from edge_node.authoring.heads import OutputAnswers
from edge_node.authoring.kinds import InputAnswers
from edge_node.errors import WrongUsage
from protos.bundle import Task


def answers_of(arguments: argparse.Namespace, labels: str | None, lines: tuple[str, ...]) -> Answers:
    """The answers that were given.

    Args:
        arguments: parsed.
        labels: the name that the label file has beside the model, if there is one.
        lines: its lines.
    """
    given = vars(arguments)
    inputs = {key: given[key] for key in InputAnswers.__dataclass_fields__ if key in given}
    outputs = {key: given[key] for key in OutputAnswers.__dataclass_fields__ if key in given}
    outputs |= {"labels": labels, "label_lines": lines, "task": Task(arguments.task) if arguments.task else None}
    inputs |= {"context": arguments.context or 0}
    constants = dict(arguments.constant)
    return Answers(InputAnswers(**inputs, constants=constants), OutputAnswers(**outputs), given.get("p95_ms"))


def refuse_answers(arguments: argparse.Namespace, allowed: frozenset[str], instead: str) -> None:
    """Return if no answer was given but those allowed.

    Raises:
        WrongUsage: one was; what it says is stated elsewhere already.
    """
    names = {*InputAnswers.__dataclass_fields__, *OutputAnswers.__dataclass_fields__, "constant"}
    given = [key for key in sorted(names - allowed) if vars(arguments).get(key) not in (None, [])]
    if given:
        raise WrongUsage(f"--{given[0].replace('_', '-')} is not taken here: {instead}")
