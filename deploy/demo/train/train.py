"""Trains the demo's network and writes every asset: `python train.py` (about ten minutes).

The network sees generated pictures of seed TRAIN_SEED only. What is reported is its accuracy on pictures of other
seeds and on the decoded film, for the float network and for both INT8 files.
"""

import json
from pathlib import Path

import av
import clip
import convert
import numpy as np
import torch
from dataset import SIDE, Classes, Pixels, pictures, seen
from generator import LABELS
from torch import nn

TRAIN_SEED, HELD_OUT_SEED, CALIBRATION_SEED = 1, 2, 3
TRAIN_PARTS, HELD_OUT_PARTS, CALIBRATION_PARTS = 5000, 1000, 100
EPOCHS, BATCH, RATE = 14, 64, 3e-3
WIDTHS = (16, 32, 48, 64, 64)


def network() -> nn.Sequential:
    """Five convolutions, the strongest answer over the picture, one linear layer: 84 thousand weights.

    The maximum, not the average: a defect is a small place. In: float [n, 3, SIDE, SIDE]; out: logits.
    """
    layers: list[nn.Module] = []
    before = 3
    for i, width in enumerate(WIDTHS):
        stride = 1 if i == len(WIDTHS) - 1 else 2
        layers += [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.MaxPool2d(SIDE // 16), nn.Flatten(), nn.Linear(before, len(LABELS)))


def as_input(images: Pixels) -> torch.Tensor:
    """Pixels as the network takes them: float 0..1, [n, 3, SIDE, SIDE]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def _turned(batch: torch.Tensor) -> torch.Tensor:
    """The batch, mirrored or upside down by chance, with another contrast."""
    for axis in (2, 3):
        if torch.rand(()) < 0.5:
            batch = batch.flip(axis)
    return (batch * (0.9 + 0.2 * torch.rand(len(batch), 1, 1, 1))).clamp(0, 1)


def fit(images: Pixels, labels: Classes) -> nn.Sequential:
    """A trained network."""
    torch.set_num_threads(1)  # sums are taken in one order
    torch.manual_seed(TRAIN_SEED)
    model, inputs, targets = network(), as_input(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-3)
    steps = EPOCHS * (len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(inputs))[: len(inputs) // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(_turned(inputs[batch])), targets[batch], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / (len(inputs) // BATCH):.4f}", flush=True)
    return model.eval()


def filmed() -> tuple[Pixels, Classes]:
    """The frames of the film of which the truth claims a class, decoded, and their classes."""
    with av.open(str(clip.CLIP / "line.mp4")) as container:
        decoded = [image.to_ndarray(format="rgb24") for image in container.decode(video=0)]
    known = [(seen(picture), name) for n, picture in enumerate(decoded) if (name := clip.label(n)) is not None]
    return np.stack([view for view, _ in known]), np.array([LABELS.index(name) for _, name in known])


def finish(model: nn.Sequential) -> None:
    """Model files, golden vectors, and the accuracy of each variant in accuracy.json."""
    calibration, _ = pictures(CALIBRATION_SEED, CALIBRATION_PARTS)
    files = convert.write(nn.Sequential(model, nn.Softmax(1)), calibration)
    runners = {
        "float": convert.run_torch(model),
        "onnx int8": convert.run_onnx(files.onnx),
        "tflite int8": convert.run_tflite(files.tflite),
    }
    accuracy: dict[str, dict[str, float]] = {}
    for where, (images, labels) in {"held-out": pictures(HELD_OUT_SEED, HELD_OUT_PARTS), "clip": filmed()}.items():
        for name, run in runners.items():
            accuracy.setdefault(name, {})[where] = round(float(np.mean(run(images).argmax(1) == labels)), 4)
    convert.write_golden(calibration, runners["onnx int8"])
    print(json.dumps(accuracy, indent=1))
    (Path(__file__).parent / "accuracy.json").write_text(json.dumps(accuracy, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """The film, then a network, then everything made of it."""
    clip.write()
    finish(fit(*pictures(TRAIN_SEED, TRAIN_PARTS)))


if __name__ == "__main__":
    main()
