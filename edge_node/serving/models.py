"""The versions that are served: which one answers a request, and how sessions, lanes and names come together.

A session is served when the parent has said so and its worker has connected, in either order. A swap: the new session
answers from then on, the old one only what it has.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence

from edge_node.serving.control import Serve
from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.lane import Lane
from edge_node.serving.regions import Regions
from edge_node.serving.served import Served
from edge_node.serving.settings import ServingSettings
from edge_node.serving.statistics import Statistics


class Withdrawn(Exception):
    """A session was withdrawn before its worker came."""


class Models:
    """All served versions."""

    def __init__(self, settings: ServingSettings, regions: Regions) -> None:
        self._settings = settings
        self._regions = regions
        self._sessions: dict[str, Served] = {}
        self._versions: dict[str, dict[str, Served]] = {}
        self._defaults: dict[str, str] = {}
        self._early: dict[str, Lane] = {}
        self._expected: dict[str, asyncio.Future[Lane]] = {}

    def __iter__(self) -> Iterator[Served]:
        return (served for versions in self._versions.values() for served in versions.values())

    async def serve(self, serve: Serve) -> None:
        """Answer for a version from a session; returns as soon as its lane is there.

        Raises:
            Withdrawn: it was withdrawn meanwhile.
        """
        lane = self._early.pop(serve.session, None)
        if lane is None or lane.closed:
            lane = await self._lane_of(serve.session)
        before = self._versions.get(serve.model, {}).get(serve.version)
        statistics = Statistics() if before is None else before.statistics
        served = Served(serve, lane, self._regions, self._settings, statistics)
        self._sessions[serve.session] = served
        self._versions.setdefault(serve.model, {})[serve.version] = served
        if serve.default:
            self._defaults[serve.model] = serve.version
        if before is not None:
            served.adopt(before)

    async def withdraw(self, session: str) -> None:
        """Take no more for a session; returns when all that it had is answered."""
        expected = self._expected.pop(session, None)
        if expected is not None and not expected.done():
            expected.set_exception(Withdrawn(f"session {session} was withdrawn before its worker connected"))
        early = self._early.pop(session, None)
        if early is not None:
            early.close()
        served = self._sessions.get(session)
        if served is None:
            return
        self._forget(served)
        await served.drain()
        self._sessions.pop(session, None)

    async def drain(self) -> None:
        """Withdraw all."""
        await asyncio.gather(*(self.withdraw(session) for session in list(self._sessions)))

    def connected(self, lane: Lane) -> None:
        """A worker has connected."""
        session = lane.hello.session
        served = self._sessions.get(session)
        expected = self._expected.pop(session, None)
        if served is not None:
            served.attach(lane)
        elif expected is not None and not expected.done():
            expected.set_result(lane)
        else:
            early = self._early.pop(session, None)
            if early is not None:
                early.close()
            self._early[session] = lane

    def find(self, name: str, version: str) -> Served:
        """A served version; an empty one is the model's default.

        Raises:
            ServingError: NOT_FOUND where there is none, NOT_READY where its worker is away.
        """
        versions = self._versions.get(name)
        if versions is None:
            raise ServingError(Kind.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        served = versions.get(version or self._default(name))
        if served is None:
            raise ServingError(Kind.NOT_FOUND, f"Request for unknown model: '{name}' version {version} is not found")
        if not served.available:
            reason = f"Request for unknown model: '{name}' version {served.version} is not at ready state"
            raise ServingError(Kind.NOT_READY, reason)
        return served

    def versions(self, name: str) -> Sequence[str]:
        """The served versions of a model, oldest first."""
        if name not in self._versions:
            raise ServingError(Kind.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return sorted(self._versions[name], key=natural)

    def trim(self) -> None:
        """Give back memory of lanes that is not used; to be called every few seconds."""
        for served in self._sessions.values():
            if served.lane is not None:
                served.lane.trim()

    async def _lane_of(self, session: str) -> Lane:
        expected: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
        former = self._expected.pop(session, None)
        if former is not None:
            former.cancel()
        self._expected[session] = expected
        return await expected

    def _default(self, name: str) -> str:
        chosen = self._defaults.get(name)
        return chosen if chosen in self._versions[name] else max(self._versions[name], key=natural)

    def _forget(self, served: Served) -> None:
        versions = self._versions.get(served.name, {})
        if versions.get(served.version) is served:
            del versions[served.version]
        if not versions:
            self._versions.pop(served.name, None)
            self._defaults.pop(served.name, None)


def natural(version: str) -> tuple[tuple[int, str], ...]:
    """A key that puts version 10 behind version 9."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", version) if part)
