"""A deployment's YAML file, read strictly: every complaint says the file, the line and, for a typo, the nearest key."""

from pathlib import Path
from typing import Any

from coordinator.cli.yaml_file import read_yaml, with_line
from coordinator.errors import BadInput
from protos.deployment import parse_deployment
from protos.errors import ContractError


def read_deployment_file(file: Path) -> dict[str, Any]:
    """The specification as a plain document, after it has been checked.

    Raises:
        BadInput: what is wrong and at which line.
    """
    found = read_yaml(file, "deployment", "name, selector, model and pipelines")
    try:
        parse_deployment(found.document, found.where)
    except ContractError as error:
        raise BadInput(with_line(str(error), found)) from None
    return found.document
