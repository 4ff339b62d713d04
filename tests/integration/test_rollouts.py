"""Rollouts through a whole coordinator: its command, its API, its broker, nodes that do what a script says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from coordinator.app import Coordinator
from coordinator.authority.credential import Credential
from protos.fleet.v1.deployment_pb2 import ApplyDeploymentRequest
from protos.fleet.v1.deployment_pb2_grpc import DeploymentServiceStub
from protos.fleet.v1.rollout_pb2 import OrderRolloutRequest
from protos.fleet.v1.rollout_pb2_grpc import RolloutServiceStub
from tests.coordinators import channel_of, credential_for, edgectl, running_coordinator
from tests.scripted_nodes import ScriptedNode, evidence, good, returning, scripted, undecided
from tests.waiting import until

QUICK = ("--min-healthy", "1s", "--max-parallel", "100%")
NAMES = ("cam-1", "cam-2", "cam-3")


class World:
    """A coordinator with nodes that run version 1 of model m as deployment `shelf`; versions 2 and 3 are there."""

    def __init__(self, coordinator: Coordinator, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.coordinator = coordinator
        self.folder = folder
        self.nodes: dict[str, ScriptedNode] = {}
        self._capsys = capsys

    async def ctl(self, *arguments: str, code: int = 0) -> str:
        """Run `edgectl`; what it printed, on standard error where it failed."""
        self._capsys.readouterr()
        found = await edgectl(self.coordinator, *arguments)
        said = self._capsys.readouterr()
        assert found == code, said.err + said.out
        return said.out if code in (0, 1) and said.out else said.err

    async def rollout(self, reference: str = "shelf") -> dict[str, Any]:
        """A rollout, as `show --json` tells it."""
        return dict(json.loads(await self.ctl("rollout", "show", reference, "--json")))

    async def becomes(self, state: str, reference: str = "shelf") -> dict[str, Any]:
        """The rollout once it has come into a state."""
        async with asyncio.timeout(30):
            while (found := await self.rollout(reference))["state"] != state:
                assert not found["ended"], found["reason"]
                await asyncio.sleep(0.1)
        return found

    def versions(self) -> dict[str, int]:
        """Which version each node's newest document names."""
        return {name: node.versions[-1] for name, node in self.nodes.items() if node.versions}

    async def all_run(self, version: int) -> None:
        """Once every node's newest document names this version, without a trial."""
        await until(lambda: all(_runs(node, version) for node in self.nodes.values()), f"all to run {version}")

    def deployment(self, version: int, **changes: str) -> str:
        """The file of a deployment."""
        fields = {"name": "shelf", "selector": "site=store-12", "model": f"m@{version}"} | changes
        lines = [f"{key}: {value}" for key, value in fields.items()]
        lines.append(f"pipelines: [{{name: {fields['name']}, source: shelf, egress: {{tensor: 4096}}}}]")
        file = self.folder / f"{fields['name']}-{version}.yaml"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(file)


def _runs(node: ScriptedNode, version: int) -> bool:
    deployments = () if node.document is None else node.document.deployments
    return any(one.version == version and one.trial is None for one in deployments)


@asynccontextmanager
async def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], **changes: object) -> AsyncIterator[World]:
    """The world, its nodes ended afterwards."""
    async with (
        running_coordinator(tmp_path / "coordinator", own_broker="embedded", **changes) as coordinator,
        AsyncExitStack() as stack,
    ):
        made = World(coordinator, tmp_path, capsys)
        for name in NAMES:
            made.nodes[name] = await scripted(coordinator, name, tmp_path)
            stack.push_async_callback(made.nodes[name].stop)
        for version in (1, 2, 3):
            await made.ctl("model", "push", str(bundle(tmp_path, version)))
        said = await made.ctl("deployment", "apply", made.deployment(1))
        assert "deployment shelf: created; 3 nodes concerned" in said
        await made.all_run(1)
        await _served(made)
        yield made


async def _served(made: World) -> None:
    async with asyncio.timeout(30):
        while '"serving_version": null' in await made.ctl("deployment", "show", "shelf", "--json"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # what is waited for is in another's database


def bundle(folder: Path, version: int) -> Path:
    """A bundle that no engine needs to open."""
    made = folder / f"bundle-{version}"
    made.mkdir()
    (made / "m.onnx").write_bytes(b"model" * version)
    toml = 'name = "m"\ntask = "tensor"\n[[variants]]\nfile = "m.onnx"\nengine = "stub"\n'
    (made / "model.toml").write_text(toml)
    return made


async def test_a_good_version_reaches_every_node_wave_by_wave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        gates = ("--gate", "p95_ms<=50", "--gate", "error_rate<=0.01")
        said = await w.ctl(
            "rollout", "create", "shelf", "--to", "m@2", "--canary", "1", "--auto-promote", *gates, *QUICK
        )
        assert "rollout shelf-1: m@1 → m@2, nodes of its waves: 1, 2;" in said
        watched = await w.ctl("rollout", "watch", "shelf")
        assert "rollout shelf-1 is completed" in watched
        assert "gate: p95_ms<=50 passed: " in watched
        await w.all_run(2)
        assert all(node.versions == [1, 2] for node in w.nodes.values())
        shown = await w.ctl("rollout", "show", "shelf-1")
        assert "wave 1 of 2 begins: 2 nodes" in shown
        assert "completed" in (await w.ctl("rollout", "list"))
        assert "m@2" in await w.ctl("deployment", "list")


async def test_a_bad_version_stops_at_the_canary_and_goes_back_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        for node in w.nodes.values():
            node.script = returning
        created = ("rollout", "create", "shelf", "--to", "m@2", "--canary", "1", "--auto-promote", "--auto-revert")
        await w.ctl(*created, *QUICK)
        watched = await w.ctl("rollout", "watch", "shelf", code=1)
        assert "rollout shelf-1 is reverted: 1 of 3 nodes failed; 0 may" in watched
        assert "went back by itself: 3 of 10 frames without an answer" in watched
        await w.all_run(1)
        tried = [node for node in w.nodes.values() if 2 in node.versions]
        assert len(tried) == 1
        audited = await w.ctl("audit", "list", "--action", "rollout")
        assert "rollout.create" in audited
        assert "rollout.reverted" in audited


async def test_a_gate_that_fails_stops_it_and_a_person_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        for node in w.nodes.values():
            node.script = lambda wanted: good(wanted, evidence(latency_ms=80.0))
        options = ("--canary", "1", "--auto-promote", "--gate", "p95_ms<=50")
        await w.ctl("rollout", "create", "shelf", "--to", "m@2", *options, *QUICK)
        watched = await w.ctl("rollout", "watch", "shelf", code=1)
        assert "p95_ms<=50 failed: " in watched
        assert "next: edgectl rollout resume|abort|revert shelf-1" in watched
        assert "promote, resume" in await w.ctl("rollout", "show", "shelf")
        await w.ctl("rollout", "abort", "shelf")
        watched = json.loads(await w.ctl("rollout", "watch", "shelf", "--json", code=1))
        assert (watched["state"], len(watched["members"])) == ("aborted", 3)
        await w.all_run(1)


async def test_nobody_starts_while_it_is_paused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, capsys) as w:
        for node in w.nodes.values():
            node.script = undecided
        await w.ctl("rollout", "create", "shelf", "--to", "m@2", "--min-healthy", "1s", "--max-parallel", "1")
        await until(lambda: list(w.versions().values()).count(2) == 1, "the first node to start")
        assert "is paused: by admin:tester" in await w.ctl("rollout", "pause", "shelf")
        for node in w.nodes.values():
            node.script = good
            node.report()
        await asyncio.sleep(1.0)
        assert list(w.versions().values()).count(2) == 1
        assert "shelf-1 to m@2: paused" in await w.ctl("deployment", "show", "shelf")
        await w.ctl("rollout", "resume", "shelf")
        await w.becomes("completed")
        await w.all_run(2)


async def test_the_shadow_runs_beside_the_version_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, capsys) as w:
        options = ("--canary", "1", "--shadow", "1h", "--gate", "agreement>=0.98", "--auto-promote")
        await w.ctl("rollout", "create", "shelf", "--to", "m@2", *options, *QUICK)
        await until(lambda: any(_shadows(node) for node in w.nodes.values()), "a shadow")
        shown = await w.becomes("shadowing")
        assert set(w.versions().values()) == {1}
        (gate,) = shown["waves"][0]["gates"] or [None]
        assert gate is None or gate["gate"] == "agreement>=0.98"
        await w.ctl("rollout", "promote", "shelf")
        await w.becomes("completed")
        assert not any(_shadows(node) for node in w.nodes.values())


def _shadows(node: ScriptedNode) -> bool:
    return node.document is not None and any(one.shadow is not None for one in node.document.deployments)


async def test_another_version_is_applied_by_a_rollout_and_now_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        for node in w.nodes.values():
            node.script = undecided
        dry = await w.ctl("deployment", "apply", w.deployment(2), "--dry-run")
        assert "a rollout would move it there: canary 1, then 25%, 100%; 10% at once" in dry
        said = await w.ctl("deployment", "apply", w.deployment(2))
        assert "deployment shelf: rollout shelf-1 moves it there" in said
        assert "next: edgectl rollout watch shelf-1" in said
        assert "rollout shelf-1 moves it there" in await w.ctl("deployment", "apply", w.deployment(2))
        refused = await w.ctl("deployment", "apply", w.deployment(3), code=4)
        assert "deployment 'shelf' is being moved by rollout shelf-1" in refused
        assert "being moved by rollout shelf-1" in await w.ctl("deployment", "delete", "shelf", code=4)
        assert "shelf-1" in await w.ctl("rollout", "create", "shelf", "--to", "m@3", code=4)
        await w.ctl("deployment", "apply", w.deployment(3), "--now")
        await w.all_run(3)
        assert (await w.rollout())["state"] == "aborted"
        assert "admin:tester changed the deployment with --now" in (await w.rollout())["reason"]
        acts = json.loads(await w.ctl("audit", "list", "--action", "deployment", "--json"))
        told = {act["action"]: act for act in acts if act["detail"]["outcome"] == "done"}
        assert told["deployment.apply_now"]["detail"]["aborted"] == "shelf-1"
        assert "rollout" in told["deployment.apply"]["detail"]


async def test_a_change_without_another_version_is_made_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        said = await w.ctl("deployment", "apply", w.deployment(1, strategy="stop_first"))
        assert "deployment shelf: changed; 3 nodes concerned" in said
        both = w.deployment(2, selector="site in (store-12,store-13)")
        assert "another version and another selector at once" in await w.ctl("deployment", "apply", both, code=4)
        assert (
            await w.ctl("rollout", "list") == "no rollouts yet: edgectl rollout create DEPLOYMENT --to MODEL@VERSION\n"
        )


async def test_operators_may_not_approve_nor_apply_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, capsys) as w:
        operator = await credential_for(w.coordinator, "operator", "bob")
        await w.ctl("rollout", "create", "shelf", "--to", "m@2", "--approval", *QUICK)
        assert (await w.rollout())["state"] == "awaiting approval"
        assert "operator:bob may not give it, it needs the role admin" in await _refused(w, operator, "promote")
        assert "operator:bob may not call ApplyDeploymentNow" in await _refused(w, operator, "")
        await w.ctl("rollout", "promote", "shelf")
        found = await w.becomes("completed")
        assert found["approved_by"] == "admin:tester"


async def _refused(w: World, credential: Credential, order: str) -> str:
    async with channel_of(w.coordinator, credential) as channel:
        deployments = DeploymentServiceStub(channel)  # type: ignore[no-untyped-call]
        rollouts = RolloutServiceStub(channel)  # type: ignore[no-untyped-call]
        asked = (
            rollouts.OrderRollout(OrderRolloutRequest(rollout="shelf", order=order))
            if order
            else deployments.ApplyDeploymentNow(ApplyDeploymentRequest(spec_json="{}"))
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked
        return str(refused.value.details())


async def test_the_plan_says_what_each_node_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, capsys) as w:
        window = ("--window", "mon-sun 00:00-24:00")
        plan = json.loads(await w.ctl("rollout", "plan", "shelf", "--to", "m@2", "--canary", "1", *window, "--json"))
        assert sorted(node["wave"] for node in plan["nodes"]) == [0, 1, 1]
        first = plan["nodes"][0]
        assert (first["fits"], first["variant"], first["engine"], first["p95_ms"]) == (True, "m.onnx", "stub", None)
        assert first["fetch_bytes"] > 0
        assert "m.onnx" in await w.ctl("rollout", "plan", "shelf", "--to", "m@2")
        assert await w.ctl("rollout", "list", "--json") == "[]\n"


async def test_a_measure_from_outside_decides_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, capsys) as w:
        options = ("--canary", "1", "--auto-promote", "--gate", "sales>=10", "--min-samples", "1")
        await w.ctl("rollout", "create", "shelf", "--to", "m@2", *options, *QUICK)
        await until(lambda: 2 in w.versions().values(), "the canary")
        assert "asks for 'visits'" in await w.ctl("rollout", "measure", "shelf", "visits=1", code=1)
        await w.ctl("rollout", "measure", "shelf", "sales=12", "--samples", "5")
        found = await w.becomes("completed")
        assert found["measures"] == {"sales": {"value": 12.0, "samples": 5}}


async def test_two_rollouts_of_the_same_nodes_follow_one_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        for node in w.nodes.values():
            node.script = undecided
        door = w.deployment(1, name="door")
        await w.ctl("deployment", "apply", door)
        await w.ctl("rollout", "create", "shelf", "--to", "m@2", *QUICK)
        refused = await w.ctl("rollout", "create", "door", "--to", "m@3", "--no-queue", code=4)
        assert "rollout shelf-1 has nodes of it" in refused
        await w.ctl("rollout", "create", "door", "--to", "m@3", *QUICK)
        async with asyncio.timeout(20):
            while "rollout shelf-1 has nodes of it" not in (await w.rollout("door"))["reason"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        for node in w.nodes.values():
            node.script = good
            node.report()
        await w.becomes("completed", "shelf")
        await w.becomes("completed", "door")


async def test_a_draft_begins_when_it_is_started_and_ends_with_its_deployment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, capsys) as w:
        said = await w.ctl("rollout", "create", "shelf", "--to", "m@2", "--draft", *QUICK)
        assert "next: edgectl rollout start shelf-1" in said
        assert "is draft: pause is not possible; it allows abort, start" in await w.ctl(
            "rollout", "pause", "shelf", code=4
        )
        await w.ctl("rollout", "start", "shelf")
        await w.becomes("completed")
        await w.ctl("rollout", "create", "shelf", "--to", "m@3", "--draft", *QUICK)
        assert "m@3 already" not in await w.ctl("deployment", "delete", "shelf", code=4)
        assert "deployment shelf is deleted; 3 nodes" in await w.ctl("deployment", "delete", "shelf", "--now")
        await until(lambda: all(node.document and not node.document.deployments for node in w.nodes.values()))
        assert (await w.rollout("shelf-2"))["state"] == "aborted"
        assert "no rollout 'door'" in await w.ctl("rollout", "show", "door", code=1)
