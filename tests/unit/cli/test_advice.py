"""What `doctor` recommends."""

from pathlib import Path

from edge_node.cli.advice import Found, advise
from edge_node.cli.trial import Trial, how_it_ended
from edge_node.engine.around import Library, libraries
from edge_node.sandbox.confinement import Confined

LITERT = Trial("litert", "2.3.0", ("cpu",))
ONNX = Trial("onnxruntime", "1.31.1", ("cpu",))


def found(**said: object) -> Found:
    everything = {
        "engines": [LITERT, ONNX],
        "packages": {"av": True, "pillow": True},
        "devices": [],
        "memory_available_kb": 2**22,
        "disk_free_bytes": 2**34,
        "clock_synced": True,
        "sandbox": Confined(("Landlock 7", "seccomp")),
    }
    return Found(**{**everything, **said})  # type: ignore[arg-type]


def test_a_device_that_has_everything_needs_no_advice() -> None:
    assert advise(found()) == []


def test_what_the_kernel_does_not_say_is_no_complaint() -> None:
    assert advise(found(memory_available_kb=None, disk_free_bytes=None, clock_synced=None)) == []


def test_an_absent_engine_comes_with_the_command_that_gets_it() -> None:
    absent = Trial("onnxruntime", error="not installed", remedy="pip install 'nearfield[onnx]'")
    (advice,) = advise(found(engines=[LITERT, absent]))
    assert advice.missing == "the engine onnxruntime: not installed"
    assert advice.command == "pip install 'nearfield[onnx]'"


def test_everything_that_is_missing_is_named_once() -> None:
    advice = advise(
        found(
            packages={"av": False, "pillow": False},
            devices=["NVIDIA GPU", "Coral Edge TPU", "camera"],
            memory_available_kb=1000,
            disk_free_bytes=1000,
            clock_synced=False,
        )
    )
    words = ("PyAV", "Pillow", "NVIDIA", "Coral", "memory", "disk", "clock")
    assert [word for one in advice for word in words if word in one.missing] == list(words)


def test_a_gpu_that_an_engine_uses_is_not_missing() -> None:
    cuda = Trial("onnxruntime", "1.31.1", ("cuda", "cpu"))
    assert advise(found(engines=[cuda], devices=["NVIDIA GPU"])) == []


def test_an_engine_that_a_node_can_do_without_is_missed_only_where_there_is_a_device_for_it() -> None:
    absent = Trial("openvino", error="No module named 'openvino'", remedy="pip install 'nearfield[openvino]'")
    assert advise(found(engines=[LITERT, ONNX, absent])) == []
    (advice,) = advise(found(engines=[LITERT, ONNX, absent], devices=["NPU"]))
    assert advice.command == "pip install 'nearfield[openvino]'"


def test_a_coral_is_missing_its_library_until_it_lies_here() -> None:
    (advice,) = advise(found(devices=["Coral Edge TPU"]))
    assert advice.command == "sudo apt install libedgetpu1-std"
    library = Library("litert", "edgetpu", "/usr/lib/libedgetpu.so.1")
    assert advise(found(devices=["Coral Edge TPU"], libraries=[library])) == []
    assert library.configuration == (
        'engines.devices = [{engine = "litert", accelerator = "edgetpu", library = "/usr/lib/libedgetpu.so.1"}]'
    )


def test_libraries_are_found_where_they_usually_are(tmp_path: Path) -> None:
    plugin = tmp_path / "onnxruntime_ep_openvino" / "libonnxruntime_providers_openvino_plugin.so"
    plugin.parent.mkdir()
    for path in (plugin, tmp_path / "libedgetpu.so.1"):
        path.touch()
    found_here = libraries(places=[str(tmp_path)], packages=[str(tmp_path)])
    assert [(one.engine, one.accelerator) for one in found_here] == [("onnxruntime", "openvino"), ("litert", "edgetpu")]


def test_a_child_that_gave_nothing_says_how_it_ended() -> None:
    assert how_it_ended(-11, "") == "its process died of signal 11"
    assert how_it_ended(1, "Traceback\nOSError: no\n") == "OSError: no"
    assert how_it_ended(3, " \n") == "its process ended with 3"


def test_a_kernel_that_confines_nothing_is_named_with_what_that_means() -> None:
    sandbox = Confined((), ("Landlock (Function not implemented)", "seccomp (Function not implemented)"))
    files, calls = [one.missing for one in advise(found(sandbox=sandbox))]
    assert files.startswith("Landlock (Function not implemented): a model that takes its worker over may read files")
    assert calls.startswith("seccomp (Function not implemented): a model that takes its worker over may make conn")
