"""The coordinator's folder: configuration, keys, database files and blobs, made by `edge-coordinator init`.

`coordinator.toml` · `keys/signing.key` (raw Ed25519, base64, mode 0600) · `keys/ca.key`, `keys/ca.pem` (the
authority) · `keys/server.key`, `keys/server.pem` (the coordinator's own certificate) · `admin.pem` (a credential) ·
`coordinator.db` · `results.db` · `bundles/` · `coordinator.lock` (held by the one that serves)

All of it is its owner's alone (`private_files`): the databases hold what nodes saw.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.config import CONFIG_FILE, CoordinatorConfig, read_config
from coordinator.errors import BadInput, Refused


@dataclass(frozen=True)
class Folder:
    """Where things are below the coordinator's folder."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.root / CONFIG_FILE

    @property
    def signing_key(self) -> Path:
        """The private key that signs the documents for nodes."""
        return self.root / "keys" / "signing.key"

    @property
    def next_signing_key(self) -> Path:
        """The key that will sign documents, while it is being introduced."""
        return self.root / "keys" / "signing.next.key"

    @property
    def next_authority_key(self) -> Path:
        """The private key of the authority to come, while it is being introduced; its certificate is in `ca.pem`."""
        return self.root / "keys" / "ca.next.key"

    @property
    def authority_key(self) -> Path:
        """The private key of the certificate authority."""
        return self.root / "keys" / "ca.key"

    @property
    def authorities(self) -> Path:
        """The authority's certificate, and those of former authorities that are still trusted."""
        return self.root / "keys" / "ca.pem"

    @property
    def server_key(self) -> Path:
        """The key of the coordinator's own certificate, which its own broker uses too."""
        return self.root / "keys" / "server.key"

    @property
    def server_certificate(self) -> Path:
        """The coordinator's own certificate; it replaces it by itself."""
        return self.root / "keys" / "server.pem"

    @property
    def admin(self) -> Path:
        """The credential of the first administrator."""
        return self.root / "admin.pem"

    @property
    def database(self) -> Path:
        """Control data, where no other database is configured."""
        return self.root / "coordinator.db"

    @property
    def results_database(self) -> Path:
        """Results, where no other database is configured."""
        return self.root / "results.db"

    @property
    def bundles(self) -> Path:
        """The OCI layout with all blobs."""
        return self.root / "bundles"

    @property
    def lock(self) -> Path:
        """Locked while a coordinator serves from the folder."""
        return self.root / "coordinator.lock"

    @property
    def broker(self) -> Path:
        """The own broker's files."""
        return self.root / "broker"


def make_folder(folder: Folder, config: CoordinatorConfig) -> bool:
    """Make what is missing; whether the folder was new. Keys and a configuration that are there stay as they are.

    Raises:
        BadInput: the folder cannot be written.
        Refused: there is a configuration, and it says something else.
    """
    try:
        folder.signing_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_new = write_new(folder.config, config_toml(config).encode(), 0o600)  # a database's password
        write_new(folder.signing_key, new_signing_key(), 0o600)
    except OSError as error:
        raise BadInput(f"{error.filename or folder.root}: {error.strerror}: choose another folder with --dir") from None
    if not is_new and config != CoordinatorConfig():
        _check_same(folder, config)
    return is_new


def new_signing_key() -> bytes:
    """A fresh key that signs documents, as it lies in its file."""
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()) + b"\n"


def read_signing_key(folder: Folder, file: Path | None = None) -> Ed25519PrivateKey:
    """The key that signs the documents for nodes, or the one in `file`.

    Raises:
        BadInput: there is none, or it is none.
        Refused: others may read it.
    """
    file = file or folder.signing_key
    try:
        return signing_key(read_secret(file, folder))
    except ValueError:
        raise BadInput(f"{file} is not a signing key: restore it from your backup") from None


def signing_key(text: bytes) -> Ed25519PrivateKey:
    """The private key that the content of a key file says: its 32 bytes in base64.

    Raises:
        ValueError: it says none.
    """
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))


def owner_only(file: Path) -> bytes:
    """The content of a file that only its owner may read.

    Raises:
        Refused: others may read it.
        OSError: it cannot be read.
    """
    if file.stat().st_mode & 0o077:
        raise Refused(f"{file} may be read by others: chmod 600 {file}")
    return file.read_bytes()


def read_secret(file: Path, folder: Folder) -> bytes:
    """The content of a file that only its owner may read.

    Raises:
        BadInput: it is missing, or cannot be read.
        Refused: others may read it.
    """
    try:
        return owner_only(file)
    except FileNotFoundError:
        raise BadInput(f"{file} is missing: run edge-coordinator init --dir {folder.root}") from None
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None


@contextmanager
def held(folder: Folder) -> Iterator[None]:
    """The folder belongs to this coordinator for the block. The system gives it back however the process ends, so
    that a lock file that was left behind blocks nobody.

    Raises:
        Refused: another coordinator serves from it.
        BadInput: it cannot be written.
    """
    try:
        file = folder.lock.open("ab")
    except OSError as error:
        raise BadInput(f"{folder.lock}: {error.strerror}: a coordinator writes into its folder") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another coordinator serves from {folder.root}: stop that one, or make another folder with "
                "edge-coordinator init"
            ) from None
        yield


@contextmanager
def private_files() -> Iterator[None]:
    """What is made in the block, by this process and its children, is its owner's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def config_toml(config: CoordinatorConfig) -> str:
    """The configuration as TOML: what differs from the defaults."""
    values: dict[str, object] = msgspec.to_builtins(config)
    # a JSON string, number or boolean is the same in TOML
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    return "# Keys: docs/reference/coordinator.md\n" + "".join(lines)


def write_new(file: Path, content: bytes, mode: int) -> bool:
    """Write a file that is not there yet, all of it or nothing; whether it was written."""
    if file.exists():
        return False
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    try:
        os.link(staged, file)  # unlike a rename it never replaces a key that another process has just made
    except FileExistsError:
        return False
    finally:
        staged.unlink()
    return True


def replace_file(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file in place of the one that is there: after a crash it is the old one or the new one."""
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    move_file(staged, file)


def move_file(file: Path, to: Path) -> None:
    """Put a file in another's place, for good."""
    file.replace(to)
    folder = os.open(to.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_same(folder: Folder, config: CoordinatorConfig) -> None:
    if read_config(folder.root) != config:
        raise Refused(f"{folder.config} says something else: edit it, or give the options to edge-coordinator serve")
