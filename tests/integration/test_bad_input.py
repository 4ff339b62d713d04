"""Whatever a person gets wrong: one line on standard error that says what, where and what to do; never a traceback."""

import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_node.errors import Exit

Case = tuple[list[str], Exit, str]


def edge_node(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_node", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A folder with everything that can be wrong."""
    place = tmp_path_factory.mktemp("bad")
    models = data / "models"
    for name in ("resnet8_cifar10_int8.tflite", "mobilenet_v2_int8.onnx", "face_rfb320_fp32.onnx"):
        shutil.copyfile(models / name, place / name)
    good = (models / "resnet8_cifar10_int8.tflite").read_bytes()
    (place / "photo.jpg").write_bytes((data / "images/parrot.jpg").read_bytes())
    (place / "truncated.tflite").write_bytes(good[: len(good) // 2])
    (place / "truncated.onnx").write_bytes((models / "face_rfb320_fp32.onnx").read_bytes()[:100_000])
    (place / "text.tflite").write_text("this is no model")
    (place / "text.onnx").write_text("this is no model")
    (place / "empty.onnx").touch()
    (place / "model.pt").write_bytes(b"PK")
    (place / "labels3.txt").write_text("a\nb\nc\n")
    (place / "labels10.txt").write_text("\n".join(f"class {n}" for n in range(10)))
    (place / "labels.bin").write_bytes(b"\xff\xfe\x00\x80")
    (place / "text.jpg").write_text("no photo")
    (place / "text.mp4").write_text("no video")
    (place / "empty.mp4").touch()
    (place / "text.wav").write_text("no sound")
    (place / "odd.bin").write_bytes(b"\0" * 13)
    (place / "text.npy").write_text("no array")
    np.save(place / "seven.npy", np.zeros(7, np.float32))
    (place / "none").mkdir()
    (place / "file").touch()
    _write_wave(place / "8k.wav", 8000)
    _write_onnx(place / "custom.onnx", helper.make_node("Frobnicate", ["x"], ["y"], domain="example.com"))
    _write_external(place / "external.onnx", "../secret")
    _bundles(place, good)
    return place


def _write_wave(path: Path, rate: int) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\0\0" * 100)


def _write_onnx(path: Path, node: onnx.NodeProto) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("example.com", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=7).SerializeToString())


def _write_external(path: Path, location: str) -> None:
    (path.parent.parent / "secret").write_bytes(b"\0" * 16)
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    path.write_bytes(model.SerializeToString())


MANIFEST = 'name = "m"\ntask = "classification"\n[[variants]]\nfile = "m.tflite"\nengine = "litert"\n'


def _bundles(place: Path, model: bytes) -> None:
    texts = {
        "typo": MANIFEST.replace("task", "taks"),
        "nottoml": "name = ",
        "missing": MANIFEST.replace("m.tflite", "n.tflite"),
        "outside": MANIFEST.replace("m.tflite", "../m.tflite"),
        "absolute": MANIFEST.replace("m.tflite", "/etc/m.tflite"),
        "longlabels": MANIFEST + '[[outputs]]\ndecode = "classification"\nlabels = "labels3.txt"\n',
        "stray": MANIFEST,
        "linked": MANIFEST,
        "linkedfolder": MANIFEST,
        "nogolden": MANIFEST + "[golden]\n",
        "badgolden": MANIFEST + "[golden]\n",
        "kept": MANIFEST,
    }
    for name, text in texts.items():
        (place / name).mkdir()
        (place / name / "model.toml").write_text(text)
        (place / name / "m.tflite").write_bytes(model)
    shutil.copy(place / "labels3.txt", place / "longlabels")
    (place / "stray" / "notes.txt").touch()
    (place / "linked" / "m.tflite").unlink()
    (place / "linked" / "m.tflite").symlink_to(place / "resnet8_cifar10_int8.tflite")
    (place / "linkedfolder" / "deep").symlink_to(place / "none")
    (place / "badgolden" / "golden").mkdir()
    (place / "badgolden" / "golden" / "0.npz").write_text("no zip")


RESNET = "resnet8_cifar10_int8.tflite"
PHOTO = ["--input", "photo.jpg"]
INFER = ["infer", RESNET, *PHOTO]
TENSOR = ["--kind", "tensor", "--task", "tensor"]
SERIES = ["--kind", "series", "--window", "32", "--task", "tensor"]
AUDIO = ["--kind", "audio", "--rate", "16000", "--window", "3", "--task", "tensor"]
INIT = ["bundle", "init", "--name", "m"]

CASES: dict[str, Case] = {
    "no such model": (["infer", "gone.tflite", *PHOTO], Exit.FAILED, "gone.tflite: no such file or folder"),
    "not a model, tflite": (["infer", "text.tflite", *PHOTO], Exit.FAILED, "text.tflite"),
    "not a model, onnx": (["infer", "text.onnx", *PHOTO], Exit.FAILED, "text.onnx is not an ONNX model"),
    "an empty model": (["infer", "empty.onnx", *PHOTO], Exit.FAILED, "empty.onnx"),
    "a truncated tflite": (["infer", "truncated.tflite", *PHOTO], Exit.FAILED, "truncated.tflite"),
    "a truncated onnx": (["infer", "truncated.onnx", *PHOTO], Exit.FAILED, "truncated"),
    "another format": (["infer", "model.pt", *PHOTO], Exit.FAILED, "no engine runs .pt"),
    "an unknown operator": (["infer", "custom.onnx", *PHOTO], Exit.REFUSED, "needs the operator"),
    "weights outside": (["infer", "external.onnx", *PHOTO], Exit.REFUSED, "outside its folder"),
    "another engine's file": (["infer", RESNET, "--engine", "onnxruntime", *PHOTO], Exit.USAGE, "litert does"),
    "too few labels": (["infer", RESNET, "--labels", "labels3.txt", *PHOTO], Exit.FAILED, "labels3.txt has 3 labels"),
    "no such labels": (["infer", RESNET, "--labels", "gone.txt", *PHOTO], Exit.FAILED, "gone.txt"),
    "labels that are no text": (["infer", RESNET, "--labels", "labels.bin", *PHOTO], Exit.FAILED, "UTF-8"),
    "an unscaled float model": (["infer", "face_rfb320_fp32.onnx", *PHOTO], Exit.USAGE, "--mean 0 --std 255"),
    "no such photo": (["infer", RESNET, "--input", "gone.jpg"], Exit.FAILED, "gone.jpg: no such file"),
    "no such video": (["infer", RESNET, "--input", "gone.mp4"], Exit.FAILED, "gone.mp4: no such file"),
    "a photo that is none": (["infer", RESNET, "--input", "text.jpg"], Exit.FAILED, "text.jpg is not a photo"),
    "a video that is none": (["infer", RESNET, "--input", "text.mp4"], Exit.FAILED, "text.mp4"),
    "a video without frames": (["infer", RESNET, "--input", "empty.mp4"], Exit.FAILED, "empty.mp4"),
    "a folder without photos": (["infer", RESNET, "--input", "none"], Exit.FAILED, "no photos in this folder"),
    "an array for a photo model": (["infer", RESNET, "--input", "seven.npy"], Exit.FAILED, "takes a photo"),
    "values that do not fill": (
        ["infer", RESNET, *TENSOR, "--input", "seven.npy"],
        Exit.FAILED,
        "no whole number of samples",
    ),
    "an array that is none": (["infer", RESNET, *TENSOR, "--input", "text.npy"], Exit.FAILED, "text.npy"),
    "rows that do not fill": (["infer", RESNET, *SERIES, "--input", "seven.npy"], Exit.FAILED, "rows of 96"),
    "a file of odd length": (["infer", RESNET, *SERIES, "--input", "odd.bin"], Exit.FAILED, "odd.bin"),
    "a photo for a series": (["infer", RESNET, *SERIES, *PHOTO], Exit.FAILED, "takes a .npy or .bin"),
    "a sound of another rate": (["infer", RESNET, *AUDIO, "--input", "8k.wav"], Exit.FAILED, "16 at 16000: ffmpeg"),
    "a sound that is none": (["infer", RESNET, *AUDIO, "--input", "text.wav"], Exit.FAILED, "no PCM wave file"),
    "a sound for a photo model": (["infer", RESNET, "--input", "8k.wav"], Exit.FAILED, "takes a photo"),
    "a manifest that is not there": (["infer", RESNET, "--manifest", "gone.toml", *PHOTO], Exit.FAILED, "gone.toml"),
    "a manifest that is none": (["infer", RESNET, "--manifest", "text.jpg", *PHOTO], Exit.FAILED, "text.jpg"),
    "a variant of a raw file": (["infer", RESNET, "--variant", "x", *PHOTO], Exit.USAGE, "--variant is for bundles"),
    "labels of a bundle": (
        ["infer", "kept", "--labels", "labels10.txt", *PHOTO],
        Exit.USAGE,
        "--labels is not taken here",
    ),
    "another manifest for a bundle": (["infer", "kept", "--manifest", "x", *PHOTO], Exit.USAGE, "has its own"),
    "answers to a bundle": (["infer", "kept", "--mean", "1", *PHOTO], Exit.USAGE, "--mean is not taken here"),
    "no such variant": (["infer", "kept", "--variant", "x.onnx", *PHOTO], Exit.FAILED, "it has m.tflite (litert)"),
    "a folder without a manifest": (["infer", "none", *PHOTO], Exit.FAILED, "model.toml"),
    "a typo in a manifest": (["infer", "typo", *PHOTO], Exit.FAILED, "did you mean 'task'?"),
    "a manifest that is not TOML": (["infer", "nottoml", *PHOTO], Exit.FAILED, "not TOML"),
    "a missing file": (["infer", "missing", *PHOTO], Exit.FAILED, "names n.tflite, which is not in the folder"),
    "a path outside": (["infer", "outside", *PHOTO], Exit.FAILED, "not a path inside the bundle"),
    "an absolute path": (["infer", "absolute", *PHOTO], Exit.FAILED, "not a path inside the bundle"),
    "labels of the wrong length": (["infer", "longlabels", *PHOTO], Exit.FAILED, "has 3 labels"),
    "check: labels": (["bundle", "check", "longlabels"], Exit.FAILED, "has 3 labels"),
    "check: a stray file": (["bundle", "check", "stray"], Exit.FAILED, "notes.txt is not named by model.toml"),
    "check: a link outside": (["bundle", "check", "linked"], Exit.FAILED, "m.tflite leads out of the folder"),
    "check: a linked folder": (["bundle", "check", "linkedfolder"], Exit.FAILED, "deep leads out of the folder"),
    "check: no golden vectors": (["bundle", "check", "nogolden"], Exit.FAILED, "no golden vectors match"),
    "check: a broken golden vector": (["bundle", "check", "badgolden"], Exit.FAILED, "0.npz is no golden vector"),
    "check: a path outside": (["bundle", "check", "outside"], Exit.FAILED, "not a path inside the bundle"),
    "check: no such folder": (["bundle", "check", "gone"], Exit.FAILED, "gone"),
    "check: a file": (["bundle", "check", "file"], Exit.FAILED, "file"),
    "init: no such file": ([*INIT, "gone.onnx", "-o", "new"], Exit.FAILED, "gone.onnx: no such file"),
    "init: where nothing can be written": ([*INIT, RESNET, "-o", "/proc/new"], Exit.FAILED, "/proc/new cannot be made"),
    "a std of zero": (["infer", RESNET, "--std", "0", *PHOTO], Exit.USAGE, "--std: '0': give a number above 0"),
    "a mean of many channels": (["infer", RESNET, "--mean", "1,2", *PHOTO], Exit.FAILED, "2 values for 3"),
    "init: a folder": ([*INIT, "none", "-o", "new"], Exit.FAILED, "none: no such file"),
    "init: an unknown operator": ([*INIT, "custom.onnx", "-o", "new"], Exit.REFUSED, "needs the operator"),
    "init: the output is there": ([*INIT, RESNET, "-o", "kept"], Exit.FAILED, "kept is there already"),
    "init: a bad name": (["bundle", "init", "--name", "My Model", RESNET, "-o", "new"], Exit.FAILED, "is not a name"),
    "init: one file twice": ([*INIT, RESNET, f"none/../{RESNET}", "-o", "new"], Exit.FAILED, "different names"),
    "init: labels called model.toml": (
        [*INIT, RESNET, "--labels", "kept/model.toml", "-o", "new"],
        Exit.FAILED,
        "needs them under different names",
    ),
    "init: two networks": ([*INIT, RESNET, "mobilenet_v2_int8.onnx", "-o", "new"], Exit.FAILED, "not the same network"),
    "init: too few labels": ([*INIT, RESNET, "--labels", "labels3.txt", "-o", "new"], Exit.FAILED, "has 3 labels"),
    "init: no such golden": ([*INIT, RESNET, "--golden", "gone.jpg", "-o", "new"], Exit.FAILED, "gone.jpg"),
    "import: no such folder": (["bundle", "import", "gone", "-o", "new"], Exit.FAILED, "no such folder"),
    "import: nothing in it": (["bundle", "import", "none", "-o", "new"], Exit.FAILED, "no <model>/<version>"),
    "bench: no such model": (["bench", "gone.onnx"], Exit.FAILED, "gone.onnx: no such file"),
    "bench: not a model": (["bench", "text.onnx", "--seconds", "0.1"], Exit.FAILED, "text.onnx"),
    "a misspelt option": ([*INFER, "--lables", "x"], Exit.USAGE, "unknown option --lables; did you mean --labels?"),
    "a misspelt value": ([*INFER, "--task", "detect"], Exit.USAGE, "unknown value 'detect'; did you mean detection?"),
    "a misspelt command": (["sttus"], Exit.USAGE, "unknown value 'sttus'; did you mean status?"),
    "one argument too many": (["doctor", "now"], Exit.USAGE, "'now' is one argument too many"),
    "a word for a number": ([*INFER, "--top-k", "x"], Exit.USAGE, "--top-k: 'x': give a whole number above 0"),
    "a word among numbers": ([*INFER, "--mean", "a"], Exit.USAGE, "--mean: 'a': give a number;"),
    "bench: no such variant": (["bench", "kept", "--variant", "x"], Exit.FAILED, "no variant x"),
}

USAGE = [
    [],
    ["frobnicate"],
    ["infer"],
    ["infer", RESNET],
    ["infer", RESNET, "--input", "photo.jpg", "--top-k", "0"],
    ["infer", RESNET, "--input", "photo.jpg", "--score-threshold", "2"],
    ["infer", RESNET, "--input", "photo.jpg", "--constant", "sr"],
    ["infer", RESNET, "--input", "photo.jpg", "--mean", "a,b"],
    ["infer", RESNET, "--input", "photo.jpg", "--background", "x"],
    ["bench", RESNET, "--threads", "0"],
    ["infer", RESNET, "--input", "photo.jpg", "--threads", "100000"],
    ["bench", RESNET, "--seconds", "nan"],
    ["bundle"],
    ["bundle", "init", RESNET, "-o", "new"],
    ["bundle", "init", "--name", "m", RESNET, "-o", "new", "--p95-ms", "0"],
]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_is_one_line_and_the_right_exit_code(case: Case, place: Path) -> None:
    arguments, code, complaint = case
    done = edge_node(*arguments, folder=place)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("edge-node: ")
    assert complaint in lines[0]
    assert not (place / "new").exists()


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_is_exit_code_2_and_names_the_option(arguments: list[str], place: Path) -> None:
    done = edge_node(*arguments, folder=place)
    assert done.returncode == Exit.USAGE
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-node: ")
    assert "--help" in line


def test_nothing_is_left_of_a_bundle_that_failed(place: Path) -> None:
    before = sorted(place.iterdir())
    edge_node(*INIT, RESNET, "--golden", "text.jpg", "-o", "new", folder=place)
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize("how", ["closed", "interrupted"])
def test_a_reader_that_goes_away_is_no_error(how: str, place: Path) -> None:
    command = [sys.executable, "-m", "edge_node", "infer", RESNET, "--json", "--input", *["photo.jpg"] * 200]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        if how == "closed":
            process.stdout.close()
        else:
            process.send_signal(2)
            process.stdout.read()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == (Exit.DONE if how == "closed" else Exit.FAILED)
