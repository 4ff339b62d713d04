"""The ways of one variant, measured as a worker would serve it: `python -m edge_node.cli.tried MODEL VARIANT ENGINE`.

A confined process that waits between measurements, so that the rounds of several can be taken in turns. It prints a
`Candidate`, then for each `Turn` that it reads a `Measured`, or a `Candidate` with an error; all of them lines of JSON.
It holds the sessions of the last way alone, and its other threads and memory are nobody's.
"""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.errors import Exit, NearfieldError
from edge_node.repository.tuning import Measured, Way
from edge_node.rungs import Rung

if TYPE_CHECKING:
    from edge_node.engine.base import Array
    from edge_node.worker.ends import Ends
    from edge_node.worker.sessions import LoadedSession

WARM_RUNS = 2


class Candidate(msgspec.Struct, frozen=True, tag=True):
    """A variant: whether it answers several samples at once, whether one after the other only, or why it cannot run."""

    batches: bool = False
    recurrent: bool = False
    error: str = ""


class Turn(msgspec.Struct, frozen=True):
    """What is to be measured next, for how long."""

    way: Way
    seconds: float


class Tried:
    """A variant under measurement."""

    def __init__(self, model: Path, variant: str, engine: str) -> None:
        """Nothing is loaded yet."""
        self._model, self._variant, self._engine = model, variant, engine
        self._rung = Rung(engine)  # type: ignore[arg-type]  # the command line's are a rung's
        self._loaded: LoadedSession | None = None

    def candidate(self) -> Candidate:
        """Compare it with the bundle's golden vectors, and find out what it takes."""
        from edge_node.worker.ends import example

        try:
            self._check_golden()
            loaded = self._sessions(Way(self._variant, self._engine, threads=1, instances=1, batch=1))
            session, ends = loaded.instances[0][0], self._ends(loaded)
            outputs = session.run(example(ends, 2)) if ends.open_batch else {}
        except NearfieldError as error:
            return Candidate(error=str(error))
        batches = bool(outputs) and all(outputs[name].shape[:1] == (2,) for name in ends.outputs)
        return Candidate(batches, bool(ends.states))

    def measured(self, turn: Turn) -> Measured:
        """Keep all instances busy for so long.

        Raises:
            NearfieldError: the way cannot run here.
        """
        from edge_node.worker.ends import example

        loaded = self._sessions(turn.way)
        feeds = example(self._ends(loaded), turn.way.batch)

        def runs(place: int) -> "Callable[[], dict[str, Array]]":
            session, _ = loaded.instances[place]
            return lambda: session.run(feeds)

        taken = _busy([runs(place) for place in range(turn.way.instances)], turn.seconds)
        return _summed(taken, turn)

    def _check_golden(self) -> None:
        from edge_node.errors import BadInput
        from edge_node.pipeline.bundle import read_bundle
        from edge_node.pipeline.prove import prove

        if not self._model.is_dir():
            return
        proof = prove(read_bundle(self._model), variant=self._variant, rung=self._rung)[0]
        if proof.error:
            raise BadInput(proof.error)
        if not proof.agrees:
            raise BadInput(f"agreement {proof.agreement:.4g} against {proof.tolerance:.4g} on the golden vectors")

    def _sessions(self, way: Way) -> "LoadedSession":
        """The sessions of a way; those of another are closed before."""
        from edge_node.worker.messages import Ladder, Load
        from edge_node.worker.sessions import LoadedSession

        if self._loaded is not None:
            load = self._loaded.load
            if (load.threads, load.instances) == (way.threads, way.instances):
                return self._loaded
            self._loaded.close()
            self._loaded = None
        variant = self._variant if self._model.is_dir() else ""
        ladder = Ladder((self._rung,) if variant else ())
        self._loaded = LoadedSession(Load(0, "tried", str(self._model), variant, way.threads, way.instances, ladder))
        return self._loaded

    def _ends(self, loaded: "LoadedSession") -> "Ends":
        from edge_node.worker.ends import ends_of

        session, _ = loaded.instances[0]
        return ends_of(session.inputs, session.outputs, loaded.manifest)


def _busy(runs: "list[Callable[[], dict[str, Array]]]", seconds: float) -> list[list[float]]:
    """Seconds of each run, by instance, each instance in a thread of its own."""
    taken: list[list[float]] = [[] for _ in runs]
    failed: list[NearfieldError] = []

    def work(run: "Callable[[], dict[str, Array]]", took: list[float]) -> None:
        try:
            for _ in range(WARM_RUNS):
                run()
            end = time.perf_counter() + seconds
            while not took or time.perf_counter() < end:
                begun = time.perf_counter()
                run()
                took.append(time.perf_counter() - begun)
        except NearfieldError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(runs, taken, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return taken


def _summed(taken: list[list[float]], turn: Turn) -> Measured:
    from edge_node.pipeline.latency import percentile

    per_second = sum(len(took) / sum(took) for took in taken) * turn.way.batch
    return Measured(per_second, percentile([one for took in taken for one in took], 95) * 1e3)


def main(model: str, variant: str, engine: str) -> int:
    """Answer turns until there are no more."""
    from edge_node.cli.contained import confinement_for
    from edge_node.sandbox.confine import confine

    confine(confinement_for(Path(model)), writes=True)
    tried = Tried(Path(model), variant, engine)
    _print(tried.candidate())
    for line in sys.stdin:
        try:
            _print(tried.measured(msgspec.json.decode(line, type=Turn)))
        except NearfieldError as error:
            _print(Candidate(error=str(error)))
    return Exit.DONE


def _print(answer: Candidate | Measured) -> None:
    print(msgspec.json.encode(answer).decode(), flush=True)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
