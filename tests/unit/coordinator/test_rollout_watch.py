"""Watching a rollout: lines where there is no terminal, and patience with a coordinator that restarts."""

from collections import deque
from typing import Any

import grpc
import pytest

from coordinator.cli.rollout_watch import watch
from protos.fleet.v1.rollout_pb2 import GetRolloutRequest, Rollout, RolloutEvent


class Failure(grpc.RpcError):
    """A call that failed."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        """Why."""
        return self._code


class Answers:
    """A stub that gives these answers, one after another."""

    def __init__(self, *answers: Rollout | Failure) -> None:
        self._answers = deque(answers)
        self.asked: list[str] = []

    def GetRollout(self, request: GetRolloutRequest, timeout: float) -> Rollout:  # noqa: N802 - as gRPC's
        """The next answer."""
        self.asked.append(request.rollout)
        answer = self._answers.popleft()
        if isinstance(answer, Failure):
            raise answer
        return answer


def a_rollout(state: str, *texts: str, ended: bool = False) -> Rollout:
    """A rollout with so many events."""
    events = [RolloutEvent(at="2026-05-01T10:00:00Z", kind="state", text=text, detail_json="{}") for text in texts]
    return Rollout(id="shelf-1", state=state, ended=ended, spec_json="{}", events=events, event_count=len(texts))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks."""
    monkeypatch.setattr("coordinator.cli.rollout_watch.EVERY_S", 0.0)


def watched(answers: Answers, **options: Any) -> str:
    """The state in which watching ended."""
    return str(watch(answers, "shelf", **options).state)  # type: ignore[arg-type]


def test_each_decision_is_a_line_once_and_a_restart_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    away = Failure(grpc.StatusCode.UNAVAILABLE)
    answers = Answers(
        a_rollout("running", "queued", "running"),
        away,
        away,
        a_rollout("running", "queued", "running"),
        a_rollout("completed", "queued", "running", "completed", ended=True),
    )
    assert watched(answers) == "completed"
    lines = [f"10:00:00 state: {text}" for text in ("queued", "running", "completed")]
    assert capsys.readouterr().out.splitlines() == lines
    assert answers.asked == ["shelf", *["shelf-1"] * 4]


def test_a_failure_that_waits_for_a_person_ends_it() -> None:
    assert watched(Answers(a_rollout("failed", "failed"))) == "failed"


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED])
def test_what_is_refused_is_not_waited_for(code: grpc.StatusCode) -> None:
    with pytest.raises(Failure):
        watched(Answers(a_rollout("running"), Failure(code)))


def test_who_never_answered_or_is_away_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure):
        watched(Answers(Failure(grpc.StatusCode.UNAVAILABLE)))
    monkeypatch.setattr("coordinator.cli.rollout_watch.PATIENCE_S", -1.0)
    with pytest.raises(Failure):
        watched(Answers(a_rollout("running"), Failure(grpc.StatusCode.UNAVAILABLE)))


def test_for_a_program_nothing_is_said_until_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    ended = a_rollout("aborted", "aborted", ended=True)
    assert watched(Answers(a_rollout("running", "running"), ended, ended), quiet=True) == "aborted"
    assert capsys.readouterr().out == ""
