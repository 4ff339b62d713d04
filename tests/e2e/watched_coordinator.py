"""A coordinator whose broker lets an observer read everything, also what no node may write by the rules.

    world.coordinate(under=WATCHED)     starts it as `edge-coordinator` is started
    world.observer_login()              how Mosquitto's programs log in as the observer

The coordinator's own login would not do: a broker takes one session of a certificate, so that whoever else logs in with
it ends the coordinator's.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.__main__ import main
from coordinator.authority.certificates import CLIENT
from coordinator.authority.files import read_authority
from coordinator.authority.keys import key_pem, new_key
from coordinator.folder import Folder
from tests.conformance.broker_world import with_observer

WATCHED = (sys.executable, "-m", "tests.e2e.watched_coordinator")
OBSERVER = "tester-observer"


def observer_files(home: Path, folder: Path) -> tuple[Path, Path]:
    """A certificate for the observer, of the authority in a coordinator's folder, and its key: made where missing."""
    certificate, secret = folder / "observer.pem", folder / "observer.key"
    if not certificate.exists():
        key, authority = new_key(), read_authority(Folder(home))
        issued = authority.issue(key.public_key(), OBSERVER, CLIENT, timedelta(hours=1), datetime.now(UTC))
        secret.write_bytes(key_pem(key))
        certificate.write_bytes(issued.pem)
    return certificate, secret


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        with_observer(patch)
        raise SystemExit(main(sys.argv[2:]))
