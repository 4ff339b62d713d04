"""The sound, the machine and the video of the data folder give the answers of its README."""

import wave
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from edge_node.engine.catalog import for_file
from edge_node.pipeline.labels import read_labels
from edge_node.pipeline.runner import Runner
from edge_node.pipeline.windows import windows_of
from protos.bundle import Input, Manifest, Output, Task, Variant
from protos.result import Anomaly, Classified, Tensor

SPEECH_STEPS = 1875
VAD = Manifest(
    name="silero-vad",
    task=Task.TENSOR,
    variants=(Variant("silero_vad.onnx", "onnxruntime"),),
    inputs=(
        Input(kind="audio", rate=16000, window=512, context=64),
        Input(name="state", kind="state", source="stateN"),
        Input(name="sr", kind="constant", value=16000),
    ),
    outputs=(Output(decode="tensor", name="output"),),
)
BIRDS = Manifest(
    name="birds",
    task=Task.CLASSIFICATION,
    variants=(Variant("mobilenet_v2_int8.tflite", "litert"),),
    inputs=(Input(kind="image", resize="bicubic"),),
)
CAR = Manifest(
    name="toy-car",
    task=Task.ANOMALY,
    variants=(Variant("anomaly_ad01_int8.tflite", "litert"),),
    inputs=(Input(kind="series", window=5, stride=1, features=128),),
    outputs=(Output(decode="anomaly", threshold=15.0),),
)


def runner_of(manifest: Manifest, models: Path) -> Runner:
    file = models / manifest.variants[0].file
    return Runner(for_file(file).open(file, threads=1), manifest)


def speech(data: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    with wave.open(str(data / "audio" / "speech_60s_16k.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return samples.astype(np.float32) / np.float32(32768)


@pytest.mark.parametrize(("carried", "low", "high"), [(True, 0.75, 0.79), (False, 0.0, 0.6)])
def test_speech_is_heard_only_with_the_state_carried(data: Path, carried: bool, low: float, high: float) -> None:
    """About 77 % of the steps with state; the control arm, reset before each step, is far from it."""
    runner = runner_of(VAD, data / "models")
    steps = windows_of(VAD.inputs[0]).push(speech(data))
    voiced = 0
    for step in steps:
        if not carried:
            runner.reset()
        (probability,) = runner.run(step).outputs
        assert isinstance(probability, Tensor)
        voiced += probability.values[0] > 0.5
    runner.close()
    assert len(steps) == SPEECH_STEPS
    assert low <= voiced / len(steps) <= high


def test_a_healthy_toy_car_is_rebuilt_as_well_as_in_the_readme(data: Path) -> None:
    runner = runner_of(CAR, data / "models")
    rows = np.fromfile(data / "vectors" / "toycar_normal_logmel_f32.bin", np.float32).reshape(200, 128)
    steps = windows_of(CAR.inputs[0]).push(rows)
    found = [one for step in steps for one in runner.run(step).outputs if isinstance(one, Anomaly)]
    runner.close()
    scores = [one.score for one in found]
    assert len(scores) == 196
    assert np.mean(scores) == pytest.approx(10.3, abs=0.1)
    assert min(scores) == pytest.approx(8.1, abs=0.1)
    assert max(scores) == pytest.approx(12.5, abs=0.1)
    assert not any(one.anomalous for one in found)


def test_a_noisy_toy_car_scores_above_the_threshold(data: Path) -> None:
    runner = runner_of(CAR, data / "models")
    noise = np.random.default_rng(0).normal(-20, 15, (5, 128)).astype(np.float32)
    (verdict,) = runner.run(noise).outputs
    runner.close()
    assert isinstance(verdict, Anomaly)
    assert verdict.anomalous


def test_the_video_shows_a_cockatoo_most_of_the_time(data: Path) -> None:
    """With bicubic frames 102 of 280, as in the README; the default, bilinear, sees 94."""
    file = data / "models" / "mobilenet_v2_int8.tflite"
    labels = read_labels(data / "models" / "imagenet_labels.txt")
    runner = Runner(for_file(file).open(file, threads=1), BIRDS, labels)
    seen: Counter[str] = Counter()
    with av.open(str(data / "video" / "cockatoo.mp4")) as video:
        for frame in video.decode(video=0):
            best = runner.run(frame.to_ndarray(format="rgb24")).outputs[0]
            assert isinstance(best, Classified)
            seen[best.label] += 1
    runner.close()
    (label, count) = seen.most_common(1)[0]
    assert seen.total() == 280
    assert label.startswith("sulphur-crested cockatoo")
    assert count == pytest.approx(102, abs=3)
