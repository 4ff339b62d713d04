"""The models of some paths: what was found at the last look, its copies, and what is held of each. No process here.

Every look makes a copy of what is new or has changed, which is another generation of its version.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from edge_node.errors import BadInput, NearfieldError
from edge_node.pipeline.labels import read_labels
from edge_node.repository.found import Found, Look, look
from edge_node.repository.noticing import Stamp, stamp_of
from edge_node.repository.plan import Failure, Generation, Held, noticed
from edge_node.repository.staged import discard, stage
from edge_node.repository.states import read_states
from edge_node.worker.messages import LaneState


@dataclass(frozen=True)
class Copy:
    """A generation's files, in a `folder` that is nobody else's; `path` is the model file or bundle folder in it."""

    found: Found
    folder: Path
    path: Path
    labels: tuple[str, ...] = ()
    states: tuple[LaneState, ...] = ()


@dataclass
class Model:
    """A model: what is held of it, and the copies of its generations."""

    held: Held
    copies: dict[Generation, Copy] = field(default_factory=dict)


class Models:
    """All models. `folder` is where copies are made."""

    def __init__(self, paths: Iterable[Path], folder: Path) -> None:
        self.by_name: dict[str, Model] = {}
        self._paths = tuple(paths)
        self._folder = folder
        self._numbers = count(1)
        self._taking = asyncio.Lock()
        self._stamp: Stamp = ()

    async def take_all(self) -> None:
        """Look, and want all that there is to serve.

        Raises:
            BadInput, Refused: see `found.look`.
        """
        seen = await self._look()
        unread = dict(seen.unread)
        for name in dict.fromkeys(one.model for one in seen.found):
            try:
                await self._want(name, [one for one in seen.found if one.model == name])
            except NearfieldError as error:  # no space for a copy, or labels that are not there
                unread[name] = error
        for name, why in unread.items():
            if name not in self.by_name or not self.by_name[name].held.wanted:
                self._mark_unread(name, why)

    async def take(self, name: str) -> None:
        """Look again, and want the model as it is now.

        Raises:
            BadInput: there is no such model, or it cannot be read.
            Refused: see `found.look`.
        """
        async with self._taking:
            seen = await self._look()
            found = [one for one in seen.found if one.model == name]
            if not found:
                raise seen.unread.get(name) or BadInput(f"no model {name!r} in {', '.join(map(str, self._paths))}")
            await self._want(name, found)

    async def notice(self) -> None:
        """Know which versions have come to lie in the folders, and which have gone; none is copied or wanted by it."""
        stamp = await asyncio.to_thread(stamp_of, self._paths)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        async with self._taking:
            with suppress(NearfieldError):  # half of something: whoever asks for it hears why
                self._know((await self._look()).found)

    def _know(self, found: Sequence[Found]) -> None:
        for name in dict.fromkeys([*self.by_name, *(one.model for one in found)]):
            model = self.by_name.setdefault(name, Model(Held(name)))
            held = noticed(model.held, tuple(one.version for one in found if one.model == name))
            if held is None:
                del self.by_name[name]
            else:
                model.held = held

    def leave(self, name: str) -> None:
        """Want a model no more.

        Raises:
            BadInput: there is no such model.
        """
        if name not in self.by_name:
            raise BadInput(f"no model {name!r} is known")
        model = self.by_name[name]
        model.held = replace(model.held, wanted=frozenset(), failures={})

    def tidy(self, model: Model) -> None:
        """Remove the copies that nothing needs any more."""
        needed = model.held.wanted | model.held.loaded
        for generation in [one for one in model.copies if one not in needed]:
            discard(model.copies.pop(generation).folder)

    async def _look(self) -> Look:
        return await asyncio.to_thread(look, self._paths)

    def _mark_unread(self, name: str, why: NearfieldError) -> None:
        """Have a model that should serve and cannot be read in the index, with the reason."""
        generation = Generation("1", next(self._numbers))
        failures = {generation: Failure(str(why))}
        self.by_name[name] = Model(Held(name, (generation.version,), frozenset({generation}), failures=failures))

    async def _want(self, name: str, found: Sequence[Found]) -> None:
        model = self.by_name.setdefault(name, Model(Held(name)))
        copies = dict([await self._copied(model, one) for one in found])
        model.copies |= copies
        versions = tuple(one.version for one in found)
        model.held = replace(model.held, versions=versions, wanted=frozenset(copies), failures={})

    async def _copied(self, model: Model, found: Found) -> tuple[Generation, Copy]:
        """What was found as a generation: the one that there is where nothing has changed."""
        for generation, copy in model.copies.items():
            if copy.found == found:
                return generation, copy
        generation = Generation(found.version, next(self._numbers))
        folder = self._folder / str(generation.number)
        path = await asyncio.to_thread(stage, found, folder)
        labels = () if found.labels is None else await asyncio.to_thread(read_labels, found.labels)
        states = await asyncio.to_thread(read_states, found) if found.config.states else ()
        return generation, Copy(found, folder, path, labels, states)
