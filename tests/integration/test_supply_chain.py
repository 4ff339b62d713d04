"""The parts lists that `make sbom` writes, and `make audit` where nobody answers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.environments import said
from tests.locks import locks

pytestmark = [pytest.mark.needs("make"), pytest.mark.timeout(600)]  # the first run downloads what the lock names
AUDIT = ROOT / ".venv" / "audit" / "bin"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))
"""


@pytest.fixture(scope="module")
def lists() -> None:
    """The parts lists, and the environment of the programs that make and judge them."""
    said("make", "sbom", f"PYTHON={sys.executable}")


@pytest.fixture(params=["node", "coordinator"])
def made(request: pytest.FixtureRequest, lists: None) -> tuple[str, Path]:
    """A lock's name and its parts list."""
    return request.param, ROOT / "build" / "sbom" / f"nearfield-{request.param}.cdx.json"


def test_a_parts_list_follows_the_schema_of_cyclonedx(made: tuple[str, Path], tmp_path: Path) -> None:
    _, file = made
    assert said(AUDIT / "python", "-c", VALIDATE, file) == "None\n"
    broken = tmp_path / "broken.json"
    broken.write_text(file.read_text().replace('"bomFormat"', '"bomform"'))
    assert said(AUDIT / "python", "-c", VALIDATE, broken) != "None\n"


def test_a_parts_list_names_every_locked_package_with_its_hashes(made: tuple[str, Path]) -> None:
    name, file = made
    document = json.loads(file.read_text())
    assert document["metadata"]["component"]["name"] == "nearfield"
    listed = {(one["name"], one["version"], hashes(one)) for one in document["components"]}
    assert listed == {(pin.name, pin.version, pin.hashes) for pin in locks()[name]}


def hashes(component: dict[str, Any]) -> frozenset[str]:
    """Of all files that may be installed for a component."""
    references = component.get("externalReferences", [])
    return frozenset(one["content"] for reference in references for one in reference.get("hashes", []))


@pytest.mark.usefixtures("lists")
def test_an_audit_without_an_answer_is_a_failure_in_one_line() -> None:
    nowhere = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": ""}
    command = [sys.executable, "-m", "tests.audit", str(AUDIT / "pip-audit")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=nowhere)
    assert done.returncode == 1
    assert done.stdout.startswith("the audit could not be made: ")
    assert done.stdout.count("\n") == 1
