"""When the coordinator gives itself a new certificate, and which names it bears. Pure."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from cryptography import x509

from coordinator.authority.certificates import Authority, alternative_names
from protos.principal import BROKER_NAME, SERVER_NAME

LIFETIME = timedelta(days=90)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def own_names(configured: Iterable[str], hostname: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """The names in the coordinator's certificate: of a coordinator, of a broker (its own), and host names and addresses
    for subscribers that check them."""
    hosts = (*configured, hostname, *addresses, *LOOPBACK)
    return tuple(dict.fromkeys(name for name in (SERVER_NAME, BROKER_NAME, *hosts) if name))


def is_due(certificate: x509.Certificate, authority: Authority, names: Collection[str], now: datetime) -> bool:
    """Whether it is time for another: half of its life is over, the names or the authority changed, or the clock is
    before its time.
    """
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    lacks_names = not set(names) <= alternative_names(certificate)
    return not authority.issued(certificate) or lacks_names or not begins <= now < begins + (ends - begins) / 2
