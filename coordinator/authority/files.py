"""The authority in the coordinator's folder, the first administrator's credential, the coordinator's own certificate.

make_identity(folder, "alice", now)              # edge-coordinator init
own = OwnCertificate(folder, read_authority(folder), names, utc_now)
own.refresh()                                    # at the start, and from time to time
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from coordinator.authority.certificates import (
    BOTH,
    CLIENT,
    Authority,
    authority_certificate,
    open_authority,
    read_certificate,
)
from coordinator.authority.credential import Credential
from coordinator.authority.keys import key_pem, new_key, read_key
from coordinator.authority.own import LIFETIME, is_due
from coordinator.errors import BadInput
from coordinator.folder import Folder, read_secret, replace_file, write_new
from protos.identity import is_name
from protos.principal import COORDINATOR, Principal, Role

ADMIN_LIFETIME = timedelta(days=365)


def admin_name(environment: Mapping[str, str]) -> str:
    """What the first administrator is called: as the person who logged in, where that is a name."""
    found = next((environment[key].lower() for key in ("SUDO_USER", "USER", "LOGNAME") if environment.get(key)), "")
    return found if is_name(found) else "admin"


def make_identity(folder: Folder, admin: str, now: datetime) -> None:
    """Make what is missing of the authority and of the administrator's credential.

    Raises:
        BadInput: the folder cannot be written.
    """
    try:
        write_new(folder.authority_key, key_pem(new_key()), 0o600)
        key = read_key(read_secret(folder.authority_key, folder), str(folder.authority_key))
        write_new(folder.authorities, authority_certificate(key, now), 0o644)
        if not folder.admin.exists():
            write_new(folder.admin, _admin(read_authority(folder), admin, now), 0o600)
    except OSError as error:
        raise BadInput(f"{error.filename or folder.root}: {error.strerror}: choose another folder with --dir") from None


def read_authority(folder: Folder) -> Authority:
    """The authority.

    Raises:
        BadInput: there is none, or it is none.
        Refused: others may read its key.
    """
    key = read_key(read_secret(folder.authority_key, folder), str(folder.authority_key))
    try:
        return open_authority(key, folder.authorities.read_bytes(), str(folder.authorities))
    except OSError as error:
        raise BadInput(f"{folder.authorities}: {error.strerror}: run edge-coordinator init again") from None


def handed_out(folder: Folder, authority: Authority) -> tuple[bytes, ...]:
    """What goes with every certificate now, PEM: the authority that signs, and those beside it in the file, also one
    that was prepared since the start."""
    key = authority.key
    with contextlib.suppress(OSError, BadInput):
        return open_authority(key, folder.authorities.read_bytes(), str(folder.authorities)).authorities
    return authority.authorities


class OwnCertificate:
    """The coordinator's own certificate, for its servers, its own broker, and its login there.

    Args:
        folder: where it is kept.
        authority: who signs it.
        names: the host names and addresses that it bears.
        now: the clock.
    """

    def __init__(
        self, folder: Folder, authority: Authority, names: Collection[str], now: Callable[[], datetime]
    ) -> None:
        self._folder = folder
        self._authority = authority
        self._names = names
        self._now = now
        self.key = b""
        """PEM"""
        self.chain = b""
        """PEM"""

    @property
    def authorities(self) -> bytes:
        """PEM of every authority whose certificates are taken."""
        return b"".join(self._authority.authorities)

    def refresh(self) -> bool:
        """Read it, or issue another where it is time; whether it is a new one.

        Raises:
            BadInput: its key is none, or a name of the configuration is none.
        """
        now, file = self._now(), self._folder.server_certificate
        write_new(self._folder.server_key, key_pem(new_key()), 0o600)
        self.key = read_secret(self._folder.server_key, self._folder)
        key = read_key(self.key, str(self._folder.server_key)).public_key()
        self.chain = file.read_bytes() if file.exists() else b""
        if self.chain:
            held = read_certificate(self.chain)
            if held.public_key() == key and not is_due(held, self._authority, self._names, now):
                return False
        issued = self._authority.issue(key, COORDINATOR.common_name, BOTH, LIFETIME, now, self._names)
        self.chain = issued.pem
        replace_file(file, self.chain)
        return True


def _admin(authority: Authority, name: str, now: datetime) -> bytes:
    key = new_key()
    issued = authority.issue(key.public_key(), Principal(Role.ADMIN, name).common_name, CLIENT, ADMIN_LIFETIME, now)
    return Credential(issued.pem, key_pem(key), b"".join(authority.authorities)).pem
