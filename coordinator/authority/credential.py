"""Credentials of people and programs: one PEM text with the certificate, its key and the authorities to trust."""

import re
from dataclasses import dataclass, field

from coordinator.errors import BadInput

MAX_BYTES = 64 * 1024
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----\n.*?-----END \1-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Credential:
    """Each part in PEM; `authorities` one after the other."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes

    @property
    def pem(self) -> bytes:
        """As it stands in the file."""
        return b"".join(part.rstrip(b"\n") + b"\n" for part in (self.certificate, self.key, self.authorities))


def parse_credential(pem: bytes, where: str) -> Credential:
    """The credential in a PEM text.

    Raises:
        BadInput: a part is missing; `where` names the file.
    """
    found = [(match[1], match[0]) for match in _BLOCK.finditer(pem.replace(b"\r\n", b"\n")[:MAX_BYTES])]
    certificates = [block for kind, block in found if kind == b"CERTIFICATE"]
    keys = [block for kind, block in found if kind.endswith(b"PRIVATE KEY")]
    if len(certificates) < 2 or len(keys) != 1:
        raise BadInput(
            f"{where} is not a credential: it holds a certificate, its key and the authority, as edge-coordinator "
            "init and edgectl credential create write it"
        )
    return Credential(certificates[0], keys[0], b"".join(certificates[1:]))
