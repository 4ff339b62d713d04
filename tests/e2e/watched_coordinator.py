"""A coordinator whose broker lets an observer read everything, also what no node may write by the rules.

    world.coordinate(under=WATCHED)     starts it as `edge-coordinator` is started
    observer_login(world)               how Mosquitto's programs log in as the observer

The coordinator's own login would not do: a broker takes one session of a certificate, so that whoever else logs in with
it ends the coordinator's.
"""

import sys
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.__main__ import main
from coordinator.authority.certificates import CLIENT
from coordinator.authority.files import read_authority
from coordinator.authority.keys import key_pem, new_key
from coordinator.folder import Folder
from tests.conformance.broker_world import with_observer
from tests.e2e.fleet import Fleet

WATCHED = (sys.executable, "-m", "tests.e2e.watched_coordinator")
OBSERVER = "tester-observer"


def observer_login(world: Fleet) -> tuple[str, ...]:
    """Options of `mosquitto_sub`; a certificate of the coordinator's own authority is made for it."""
    folder, key = Folder(world.home), new_key()
    issued = read_authority(folder).issue(key.public_key(), OBSERVER, CLIENT, timedelta(hours=1), datetime.now(UTC))
    certificate, secret = world.folder / "observer.pem", world.folder / "observer.key"
    certificate.write_bytes(issued.pem)
    secret.write_bytes(key_pem(key))
    files = ("--cafile", folder.authorities, "--cert", certificate, "--key", secret)
    return ("-h", "127.0.0.1", "-p", str(world.broker_port), *map(str, files))


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        with_observer(patch)
        raise SystemExit(main(sys.argv[2:]))
