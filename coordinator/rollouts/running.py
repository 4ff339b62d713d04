"""Wave by wave: when a wave has passed, when the next begins, when all is done. Pure."""

from dataclasses import replace

from coordinator.rollouts.durations import duration
from coordinator.rollouts.gates import Outcome, Verdict
from coordinator.rollouts.judging import outcome_of, present, service_verdicts
from coordinator.rollouts.records import Member
from coordinator.rollouts.starting import Started, start
from coordinator.rollouts.states import HAS_NEW, Stage, State
from coordinator.rollouts.stopping import has_failed_gate, has_failures, stop, tell
from coordinator.rollouts.turn import Turn, nodes_text
from coordinator.rollouts.waves import shares_of


def begin(turn: Turn) -> None:
    """The rollout has its nodes: the shadow comes first, where one is asked for."""
    if turn.rollout.spec.shadow_s:
        turn.become(State.SHADOWING)
    else:
        begin_waves(turn)


def begin_waves(turn: Turn) -> None:
    """The first wave begins."""
    turn.become(State.RUNNING)
    for member in turn.at(Stage.SHADOWING):
        turn.move(member, Stage.WAITING)
    _enter(turn, 0)


def running(turn: Turn) -> bool:
    """Stop, go on to the next wave, or let members start."""
    verdicts = _verdicts(turn)
    if has_failures(turn) or has_failed_gate(turn, [one for of_wave in verdicts.values() for one in of_wave]):
        return True
    started = start(turn)
    passed = _passed(turn, verdicts.get(turn.rollout.wave, ()))
    if passed is None:
        return _is_stalled(turn, started)
    if not _may_go_on(turn):
        turn.because(f"wave {turn.rollout.wave} has passed; waits for promote")
        return False
    tell(turn, passed)
    if _is_last(turn):
        turn.become(State.PROMOTING)
    else:
        _enter(turn, turn.rollout.wave + 1)
    return True


def _verdicts(turn: Turn) -> dict[int, tuple[Verdict, ...]]:
    """What the gates say of each wave that a person has not let pass anyway."""
    rollout = turn.rollout
    if not rollout.spec.gates:
        return {}
    waves: dict[int, list[Member]] = {wave: [] for wave in range(rollout.promoted + 1, rollout.wave + 1)}
    for member in present(turn.members.values()):
        if member.wave in waves:
            waves[member.wave].append(member)
    asked = {wave: members for wave, members in waves.items() if _has_begun(members)}
    return {wave: service_verdicts(rollout, members, turn.views) for wave, members in asked.items()}


def _has_begun(members: list[Member]) -> bool:
    return any(member.stage in HAS_NEW or member.stage is Stage.FAILED for member in members)


def _passed(turn: Turn, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...] | None:
    """The verdicts by which the wave has passed; None where it has not."""
    let_pass = turn.rollout.promoted >= turn.rollout.wave
    if let_pass and not _is_last(turn):
        return verdicts
    reached = [member for member in turn.members.values() if member.wave <= turn.rollout.wave]
    if any(member.stage in (Stage.WAITING, Stage.ORDERED) for member in reached):
        turn.because("")
        return None
    if let_pass:
        return verdicts
    if _nobody_proved(reached):
        turn.because("no node of the waves so far is there")
        return None
    waiting = [verdict.gate for verdict in verdicts if verdict.outcome is Outcome.WAITING]
    turn.because(f"waits for samples: {', '.join(dict.fromkeys(waiting))}" if waiting else "")
    return verdicts if outcome_of(verdicts) is Outcome.PASSED else None


def _nobody_proved(reached: list[Member]) -> bool:
    """Whether there are nodes, and none of them serves the new version."""
    return any(member.stage is not Stage.LEFT for member in reached) and not any(
        member.stage is Stage.HEALTHY for member in reached
    )


def _may_go_on(turn: Turn) -> bool:
    """Whether what follows a wave that has passed follows by itself."""
    rollout = turn.rollout
    if rollout.spec.auto_promote or rollout.promoted >= rollout.wave or _is_last(turn):
        return True
    of_wave = [member for member in turn.members.values() if member.wave == rollout.wave]
    return all(member.stage is Stage.LEFT for member in of_wave)


def _is_stalled(turn: Turn, started: Started) -> bool:
    """Stop where nothing has come forward for too long, and no window or other rollout is the reason."""
    deadline_s = turn.rollout.spec.progress_deadline_s
    if started.held or not turn.is_over(turn.rollout.progress_at, deadline_s):
        return False
    reason = turn.rollout.reason or "no node has become healthy"
    stop(turn, f"no progress within {duration(deadline_s)}: {reason}")
    return True


def _is_last(turn: Turn) -> bool:
    return turn.rollout.wave == len(shares_of(turn.rollout.spec)) - 1


def _enter(turn: Turn, wave: int) -> None:
    turn.rollout = replace(turn.rollout, wave=wave, wave_since=turn.now, progress_at=turn.now, reason="")
    count = sum(member.wave == wave for member in turn.members.values())
    text = f"wave {wave} of {len(shares_of(turn.rollout.spec))} begins: {nodes_text(count)}"
    turn.tell("wave", text, wave=wave, nodes=count)
