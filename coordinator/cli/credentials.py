"""Which credential `edgectl` shows: --credentials FILE, else NEARFIELD_CREDENTIALS, else one in the user's settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from coordinator.authority.certificates import described, read_certificate
from coordinator.authority.credential import Credential, parse_credential
from coordinator.errors import BadInput, Refused

VARIABLE = "NEARFIELD_CREDENTIALS"
OPTION = "--credentials"


@dataclass(frozen=True)
class LoadedCredential:
    """A credential, its file, who it is for and until when."""

    file: Path
    parts: Credential
    principal: str
    not_after: datetime


def default_file(environment: Mapping[str, str]) -> Path:
    """Where a user's credential lies if nobody says otherwise (XDG Base Directory Specification)."""
    settings = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".config")
    return Path(settings) / "nearfield" / "credentials.pem"


def load_credential(file: Path | None) -> LoadedCredential:
    """The credential in a file; None: in the default one.

    Raises:
        Refused: there is none, or others may read it.
        BadInput: the file cannot be read, or is none.
    """
    path = file or default_file(os.environ)
    try:
        parts = parse_credential(path.read_bytes(), str(path))
        if path.stat().st_mode & 0o077:
            raise Refused(f"{path} holds a key and may be read by others: chmod 600 {path}")
    except FileNotFoundError:
        raise Refused(
            f"no credential at {path}: name one with {OPTION} FILE or {VARIABLE}; the first is admin.pem in the "
            "coordinator's folder, others are made by edgectl credential create"
        ) from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    certificate = described(read_certificate(parts.certificate))
    return LoadedCredential(path, parts, certificate.common_name, certificate.not_after)
