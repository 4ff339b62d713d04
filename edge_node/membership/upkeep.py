"""Keeps this device a node: an identity that comes, the time, a certificate that is renewed. Effects only.

When a certificate is renewed is decided in `renewal.py`, what time it is in `clock.py`. A node whose certificate is
not taken any more runs and stores as before; it comes back by proof of its key, as long as the coordinator lets it.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from edge_node.config import NodeConfig
from edge_node.errors import BadInput, NearfieldError, Stranger, Unreachable
from edge_node.link import discovery
from edge_node.link import enrollment as link
from edge_node.membership.clock import Clock
from edge_node.membership.clock_file import ClockFile
from edge_node.membership.enrolling import Applicant, enroll, take_up
from edge_node.membership.identity import (
    AUTHORITIES,
    CERTIFICATE,
    KEY,
    Identity,
    authorities_of,
    certificate_text,
    certificate_times,
    is_of_former,
)
from edge_node.membership.registration import retry_s
from edge_node.membership.renewal import jitter_of, next_try_s, renewal_at
from edge_node.store.files import read_if_there, write_durably
from protos.envelope import open_sealed
from protos.errors import ContractError
from protos.identity import NodeId
from protos.join_token import JoinToken, parse_join_token
from protos.time_statement import NONCE_BYTES, TIME, read_time_statement
from protos.trust import newest_number

T = TypeVar("T")

SPREAD_S = 30.0
"""Over so long a fleet's renewals are spread when the authorities have changed."""
LOOK_S = 1.0
"""How often it is looked whether anything is due."""

log = logging.getLogger(__name__)


class IdentityReport(msgspec.Struct, frozen=True):
    """How the node's certificate stands: RFC 3339 times; `trouble` is one line, empty where there is none.

    `trust_root` is the number of the root in force; 0 where there is none.
    """

    expires_at: str = ""
    renews_at: str = ""
    expired: bool = False
    trouble: str = ""
    trust_root: int = 0


class Upkeep:
    """The identity of one state folder.

    Args:
        config: whose `token_file`, name and labels a device without identity enrolls with.
        clock: what time it is; it is told.
        identity: the present one.
        on_identity: a new one lies in the folder.
        on_renewed: a new certificate lies in the folder.
    """

    def __init__(
        self,
        config: NodeConfig,
        clock: Clock,
        identity: Callable[[], Identity | None],
        on_identity: Callable[[], Awaitable[None]],
        on_renewed: Callable[[], Awaitable[None]],
    ) -> None:
        self._config = config
        self._folder = Path(config.state_dir)
        self._clock = clock
        self._clock_file = ClockFile(self._folder / "clock.json")
        self._identity = identity
        self._on_identity = on_identity
        self._on_renewed = on_renewed
        self._attempts = 0
        self._next_try = 0.0
        self._times = (0.0, 0.0)
        self._replaced_from: float | None = None
        """from when on (monotonic) the certificate is renewed because the authorities have changed"""
        self.state = ""
        """what goes wrong with identity or certificate, one line; empty where nothing does"""

    def load(self) -> None:
        """Read what was kept of the time and of the certificate."""
        self._clock.reached(self._clock_file.load())
        text = read_if_there(self._folder / CERTIFICATE) or b""
        self._times = certificate_times(text)
        if not is_of_former(text, read_if_there(self._folder / AUTHORITIES) or b""):
            self._replaced_from = None
        elif self._replaced_from is None:
            self._replaced_from = time.monotonic() + SPREAD_S * random.random()  # noqa: S311 (jitter)
        self._clock.reached(self._times[0])

    async def run(self, facts_json: str) -> None:
        """Look every second whether anything is due. Until cancelled."""
        while True:
            if take_up(self._folder, running=True):
                self._done()
                self.load()
                await self._on_identity()
            if time.monotonic() >= self._next_try:
                await self._try(facts_json)
            self._clock_file.keep(self._clock.floor)
            await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        """Keep the time that is known."""
        self._clock_file.keep(self._clock.floor, at_once=True)

    def report(self) -> IdentityReport:
        """How the certificate stands."""
        identity = self._identity()
        if identity is None:
            return IdentityReport(trouble=self.state)
        ends, due = self._times[1], self._due_at(identity.node)
        return IdentityReport(
            _day(ends), _day(due), ends < self._clock.now(), self.state, newest_number(identity.roots)
        )

    def _is_due(self, node: NodeId) -> bool:
        if self._replaced_from is not None and time.monotonic() >= self._replaced_from:
            return True
        return self._clock.now() >= self._due_at(node)

    def _due_at(self, node: NodeId) -> float:
        begins, ends = self._times
        return renewal_at(begins, ends, jitter_of(node, begins))

    async def _try(self, facts_json: str) -> None:
        """Do what is due; what fails is tried again later."""
        identity = self._identity()
        try:
            if identity is None:
                await self._enroll(facts_json)
            elif not self._clock.is_told:
                await self._ask_time(identity)
            if identity is not None and self._is_due(identity.node):
                await self._renew(identity)
        except (NearfieldError, ContractError, OSError) as error:
            self._failed(identity, error)
        else:
            self._done()

    async def _enroll(self, facts_json: str) -> None:
        if self._config.token_file is not None:
            token = read_token(Path(self._config.token_file))
            await enroll(self._folder, token, Applicant(self._config.name, self._config.labels, facts_json))

    async def _ask_time(self, identity: Identity) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = await where_it_is(
            identity.enrollment, lambda address: link.ask_time(address, self._folder / AUTHORITIES, nonce)
        )
        self._told(sealed, nonce, identity)

    async def _renew(self, identity: Identity) -> None:
        nonce, at = secrets.token_bytes(NONCE_BYTES), self._folder
        renewed = await where_it_is(
            identity.enrollment,
            lambda address: link.renew(address, at / AUTHORITIES, at / CERTIFICATE, at / KEY, nonce),
        )
        self._told(renewed.time, nonce, identity)
        present = self._identity() or identity  # it may have followed a root meanwhile
        authorities = authorities_of(present.roots, renewed.certified.authorities)
        write_durably(at / AUTHORITIES, authorities)
        write_durably(at / CERTIFICATE, certificate_text(renewed.certified, authorities))
        self.load()
        log.info("the certificate was renewed; it is valid until %s", _day(renewed.certified.not_after))
        await self._on_renewed()

    def _told(self, sealed: bytes, nonce: bytes, identity: Identity) -> None:
        statement = read_time_statement(open_sealed(sealed, TIME, identity.trusted), nonce)
        self._clock.told(statement.time.timestamp())
        if self._clock.system_is_wrong():
            log.warning("the system's clock says %s: going by the coordinator's", _day(self._clock.system()))

    def _failed(self, identity: Identity | None, error: Exception) -> None:
        self._attempts += 1
        chance = random.random()  # noqa: S311 (jitter)
        if identity is None or not self._is_due(identity.node):
            what, wait_s = (
                "not enrolled" if identity is None else "the time was not told",
                retry_s(self._attempts, chance),
            )
        else:
            what = "the certificate was not renewed"
            wait_s = next_try_s(self._attempts, self._times[1] - self._clock.now(), chance)
        self._next_try = time.monotonic() + wait_s
        said, self.state = self.state, f"{what}: {error}"
        if said != self.state:
            log.warning("%s", self.state)

    def _done(self) -> None:
        self._attempts, self._next_try, self.state = 0, 0.0, ""


async def where_it_is(known: str, ask: Callable[[str], Awaitable[T]]) -> T:
    """The answer of the enrollment at the address that is known, or where zeroconf says that it is now.

    Raises:
        NearfieldError: what the known address came to, where no other answers.
    """
    try:
        return await ask(known)
    except (Unreachable, Stranger) as error:
        for address in await _announced():
            with contextlib.suppress(Unreachable, Stranger):
                return await ask(address)
        raise error from None


async def _announced() -> tuple[str, ...]:
    try:
        return await discovery.find_enrollment()
    except Unreachable:
        return ()


def read_token(file: Path) -> JoinToken:
    """The token in a file.

    Raises:
        BadInput: there is none. What the file holds is not repeated.
    """
    try:
        return parse_join_token(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"token file {file}: {error.strerror}") from None
    except (ContractError, UnicodeDecodeError):
        raise BadInput(f"token file {file} holds no join token: edgectl node token create makes one") from None


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
