"""What the machine says of itself."""

import os
from pathlib import Path

import pytest

from edge_node.config import EgressLimits, NodeConfig, Source
from edge_node.telemetry import system
from edge_node.telemetry.facts import device_facts
from protos.reported import EgressPolicy

ROLLUP = "55d0-7ffe ---p 00000000 00:00 0  [rollup]\nRss:  30 kB\nPss:                21110 kB\nPss_Dirty:  9 kB\n"


def test_a_kilobyte_line_is_found_by_its_whole_key() -> None:
    assert system.kilobytes_in(ROLLUP, "Pss") == 21110
    assert system.kilobytes_in(ROLLUP, "Swap") is None
    assert system.kilobytes_in("", "Pss") is None


def test_the_processor_is_named_as_each_architecture_names_it() -> None:
    assert system.cpu_model_in("processor\t: 0\nmodel name\t: Intel(R) Xeon(R)  \n") == "Intel(R) Xeon(R)"
    assert system.cpu_model_in("processor : 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n") == "Raspberry Pi 4"
    assert system.cpu_model_in("processor : 0\n") == ""


def test_a_clock_is_synchronized_only_if_state_and_status_say_so() -> None:
    assert system.synchronized(0, 0x2001)
    assert not system.synchronized(5, 0x2001)
    assert not system.synchronized(0, 0x40)


def test_this_machine_has_cores_memory_and_a_clock() -> None:
    assert 1 <= system.cores() <= (os.cpu_count() or 1)
    assert (system.memory_kb() or 0) >= (system.memory_available_kb() or 0) > 0
    assert system.clock_synced() in (True, False, None)
    assert system.cpu_model()


def test_this_process_takes_memory_and_one_that_is_not_there_takes_none() -> None:
    assert (system.pss_kb() or 0) > 1000
    assert system.pss_kb(os.getpid()) is not None
    assert system.pss_kb(2**22 + 1) is None


def test_the_free_space_of_a_folder_to_be_made_is_that_of_its_parents(tmp_path: Path) -> None:
    assert (system.disk_free_bytes(tmp_path / "a" / "b") or 0) > 0


def test_facts_have_the_engines_and_sources_that_are_handed_in() -> None:
    config = NodeConfig("/state", sources={"b": Source("/b"), "a": Source("/a")}, egress=EgressLimits(live=False))
    facts = device_facts({"litert": "2.3.0", "stub": "0.1.0"}, config)
    assert facts.engines == {"litert": "2.3.0"}
    assert facts.sources == ("a", "b")
    assert facts.memory_mb > 0
    assert facts.egress == EgressPolicy(live=False)
    assert facts.live == "off"
    assert facts.agent_version


@pytest.mark.parametrize(
    ("variable", "link", "debian", "name"),
    [
        ("", "/usr/share/zoneinfo/Europe/Zurich", "", "Europe/Zurich"),
        ("", "../usr/share/zoneinfo/Etc/UTC", "Asia/Tokyo\n", "Etc/UTC"),
        (":America/Argentina/Buenos_Aires", "/usr/share/zoneinfo/Etc/UTC", "", "America/Argentina/Buenos_Aires"),
        ("", "", "Asia/Tokyo\n", "Asia/Tokyo"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "/usr/share/zoneinfo/Europe/Paris", "", "Europe/Paris"),
        ("", "/etc/somewhere", "", ""),
        ("", "", "", ""),
    ],
)
def test_the_time_zone_is_the_one_that_the_device_says(variable: str, link: str, debian: str, name: str) -> None:
    assert system.timezone_in(variable, link, debian) == name


def test_this_device_has_a_minute_of_the_day() -> None:
    assert 0 <= system.minute_of_day() < 24 * 60
    assert isinstance(system.timezone(), str)
