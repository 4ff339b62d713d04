"""How models are loaded and queued, when processes come back, where clients may come from."""

from pathlib import Path

import pytest

from edge_node.errors import NearfieldError, WrongUsage
from edge_node.repository.addresses import check_addresses
from edge_node.repository.backoff import FORGIVEN_S, LONGEST_S, deaths_after, wait_s
from edge_node.repository.found import Found
from edge_node.repository.sizing import Asked, Device, sizing_of
from edge_node.repository.triton_config import TritonConfig, parse_config
from edge_node.serving.control import Batching

MIB = 1 << 20
FOUR_CORES = Device(cores=4, memory_kb=1 << 20)


def found(size: int = MIB, config: TritonConfig | None = None) -> Found:
    return Found("m", "1", Path("m.onnx"), ("m.onnx",), ((size, 0, 0),), config=config or TritonConfig())


def test_by_default_there_is_a_one_thread_instance_for_each_core() -> None:
    sizing = sizing_of(found(), Asked(), FOUR_CORES)
    assert (sizing.instances, sizing.threads) == (4, 1)


def test_threads_that_are_asked_for_leave_cores_for_fewer_instances() -> None:
    sizing = sizing_of(found(), Asked(threads=2), FOUR_CORES)
    assert (sizing.instances, sizing.threads) == (2, 2)


def test_a_model_that_would_fill_the_memory_gets_fewer_instances() -> None:
    assert sizing_of(found(64 * MIB), Asked(), FOUR_CORES).instances == 2
    assert sizing_of(found(4096 * MIB), Asked(), FOUR_CORES).instances == 1


def test_what_is_asked_for_wins_over_the_models_configuration_and_that_over_the_device() -> None:
    config = TritonConfig(batching=Batching(max_batch=16), instances=3)
    assert sizing_of(found(config=config), Asked(), FOUR_CORES).instances == 3
    assert sizing_of(found(config=config), Asked(), FOUR_CORES).batching.max_batch == 16
    asked = sizing_of(found(config=config), Asked(instances=1, max_batch=2), FOUR_CORES)
    assert (asked.instances, asked.batching.max_batch) == (1, 2)


def test_a_triton_configuration_says_how_asks_are_put_together() -> None:
    text = """
        max_batch_size: 8
        dynamic_batching {
          preferred_batch_size: [4, 8]
          max_queue_delay_microseconds: 100
          default_queue_policy { max_queue_size: 32 default_timeout_microseconds: 5000 }
        }
        instance_group [{ count: 2 kind: KIND_CPU }]
        unheard_of: "is no concern"
    """
    config = parse_config(text, "config.pbtxt")
    assert config.batching == Batching(max_batch=8, preferred=(4, 8), delay_us=100, queue=32, default_timeout_us=5000)
    assert config.instances == 2


def test_without_a_batch_size_the_model_says_and_0_means_that_there_is_no_batch_axis() -> None:
    assert parse_config('name: "m"', "config.pbtxt").batching == Batching()
    assert parse_config("max_batch_size: 0", "config.pbtxt").batching.max_batch == 1


def test_a_process_comes_back_at_once_then_ever_later_and_a_long_life_is_forgiving() -> None:
    assert wait_s(1) < 0.2
    waits = [wait_s(deaths) for deaths in range(1, 20)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_S
    assert deaths_after(5, lived_s=1.0) == 6
    assert deaths_after(5, lived_s=FORGIVEN_S + 1) == 1


@pytest.mark.parametrize(
    ("addresses", "error"),
    [
        ({"grpc": "8001"}, WrongUsage),
        ({"grpc": "127.0.0.1:99999"}, WrongUsage),
        ({"grpc": "::1:8001"}, WrongUsage),
        ({"grpc": "127.0.0.1:8001", "http": "127.0.0.1:8001"}, WrongUsage),
        ({"grpc": "", "http": ""}, WrongUsage),
    ],
)
def test_an_address_that_is_wrong_is_refused(addresses: dict[str, str], error: type[NearfieldError]) -> None:
    with pytest.raises(error):
        check_addresses(addresses)


def test_addresses_of_this_machine_are_taken_and_an_empty_one_stays_closed() -> None:
    check_addresses({"grpc": "127.0.0.1:0", "http": "[::1]:8000", "metrics": ""})
    check_addresses({"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"})
