"""`edge-node infer` on the real models: the answers of the README, through the command that a person types."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "edge_node", "infer"]


def infer(*arguments: object) -> str:
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(*arguments: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in infer(*arguments, "--json").splitlines()]


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_the_parrot_is_a_macaw_in_one_readable_line(suffix: str, data: Path) -> None:
    model, labels = data / f"models/mobilenet_v2_int8.{suffix}", data / "models/imagenet_labels.txt"
    line = infer(model, "--labels", labels, "--input", data / "images/parrot.jpg")
    assert "parrot.jpg: macaw 0.99" in line
    assert "infer" in line.split("[")[1]
    assert len(line.splitlines()) == 1


def test_a_video_is_summed_up_by_its_most_frequent_label(data: Path) -> None:
    model, labels = data / "models/mobilenet_v2_int8.tflite", data / "models/imagenet_labels.txt"
    first, second, *_ = infer(model, "--labels", labels, "--input", data / "video/cockatoo.mp4").splitlines()
    assert "280 samples" in first
    assert second.split()[1:3] == ["of", "280"]
    assert "sulphur-crested cockatoo" in second


def test_faces_are_found_by_a_detector_without_a_bundle(data: Path) -> None:
    options = ["--mean", "127", "--std", "128", "--background", "0"]
    options += ["--score-threshold", "0.7", "--iou-threshold", "0.3"]
    photos = [data / "images/face_2.jpg", data / "images/face_3.jpg"]
    found = documents(data / "models/face_rfb320_fp32.onnx", *options, "--input", *photos)
    assert [len(one["outputs"]) for one in found] == [4, 5]  # type: ignore[arg-type]


def test_a_manifest_says_how_to_read_a_raw_file(data: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "model.toml"
    manifest.write_text(
        'name = "face"\ntask = "detection"\n'
        '[[variants]]\nfile = "face_rfb320_fp32.onnx"\nengine = "onnxruntime"\n'
        '[[inputs]]\nkind = "image"\nmean = [127.0]\nstd = [128.0]\n'
        '[[outputs]]\ndecode = "detection"\nbackground = 0\nscore_threshold = 0.7\niou_threshold = 0.3\n'
    )
    model = data / "models/face_rfb320_fp32.onnx"
    (found,) = documents(model, "--manifest", manifest, "--input", data / "images/face_2.jpg")
    assert len(found["outputs"]) == 4  # type: ignore[arg-type]


def test_a_healthy_toy_car_has_the_reconstruction_error_that_is_known(data: Path) -> None:
    options = ["--kind", "series", "--window", "5", "--stride", "1", "--threshold", "12"]
    vectors = data / "vectors/toycar_normal_logmel_f32.bin"
    found = documents(data / "models/anomaly_ad01_int8.tflite", *options, "--input", vectors)
    scores = np.array([one["outputs"][0]["score"] for one in found])  # type: ignore[index]
    assert len(scores) == 196
    assert abs(scores.mean() - 10.3) < 0.1
    assert (scores > 12).sum() == sum(one["outputs"][0]["anomalous"] for one in found)  # type: ignore[index]


def test_speech_is_heard_with_the_state_carried_from_step_to_step(data: Path) -> None:
    options = ["--kind", "audio", "--rate", "16000", "--window", "512", "--context", "64", "--task", "tensor"]
    found = documents(data / "models/silero_vad.onnx", *options, "--input", data / "audio/speech_60s_16k.wav")
    speech = np.array([one["outputs"][0]["values"][0] for one in found]) > 0.5  # type: ignore[index]
    assert len(speech) == 1875
    assert abs(speech.mean() - 0.77) < 0.02


def test_every_stream_begins_with_the_zero_state(data: Path) -> None:
    options = ["--kind", "audio", "--rate", "16000", "--window", "512", "--context", "64", "--task", "tensor"]
    sound = data / "audio/speech_60s_16k.wav"
    found = documents(data / "models/silero_vad.onnx", *options, "--input", sound, sound)
    assert found[0]["outputs"] == found[1875]["outputs"]


def test_a_nine_is_read_and_a_folder_is_its_photos(data: Path) -> None:
    assert "mnist_nine.bmp: 9 0.99" in infer(
        data / "models/lstm_mnist_int8.tflite", "--input", data / "images/mnist_nine.bmp"
    )
    lines = infer(data / "models/resnet8_cifar10_int8.tflite", "--input", data / "images").splitlines()
    assert len(lines) == len(list((data / "images").glob("*.*")))


def test_a_document_says_which_engine_answered(data: Path) -> None:
    (found,) = documents(data / "models/resnet8_cifar10_int8.tflite", "--input", data / "images/parrot.jpg")
    assert sorted(found) == [
        "accelerator",
        "engine",
        "input",
        "latency_ms",
        "model",
        "outputs",
        "position",
        "task",
    ]
    assert (found["model"], found["engine"], found["accelerator"]) == ("resnet8-cifar10-int8", "litert", "cpu")


def test_arrays_by_name_fill_a_model_with_several_inputs(data: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "sample.npz", input=np.zeros((1, 576), np.float32))
    options = ["--kind", "tensor", "--task", "tensor"]
    (found,) = documents(data / "models/silero_vad.onnx", *options, "--input", tmp_path / "sample.npz")
    assert found["task"] == "tensor"


def test_progress_is_shown_on_a_terminal_only(data: Path) -> None:
    options = ["--kind", "series", "--window", "5", "--stride", "1"]
    arguments = [data / "models/anomaly_ad01_int8.tflite", *options, "--input"]
    command = [*COMMAND, *map(str, [*arguments, data / "vectors/toycar_normal_logmel_f32.bin"])]
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        shown = b""
        while b"196: error" not in shown and (part := os.read(leader, 65536)):
            shown += part
        process.communicate(timeout=60)
    finally:
        os.close(leader)
    assert b"\r\x1b[K" in shown
    done = subprocess.run(command, capture_output=True, timeout=100)
    assert done.stderr == b""
