"""Training speed, compared with the origin project's loop and with a good plain PyTorch loop.

python -m scripts.bench.train            # about 15 minutes on two cores; writes benchmarks/train.json

For each network with MSE and with VGG features (random ones, which cost the same), in images of 256x256 pixels per
second (a crop of 96x96 counts as its share of an image):

- origin: one whole image per step, decoded at each step, float32, PSNR and SSIM by scikit-image at each step; the VGG
  loss on both images resized to 224.
- plain: a DataLoader with two workers that decode, 16 crops of 96x96, float32, no scores. The same network, loss,
  optimizer and crops as sr's.
- bare: sr's step on one batch in memory: channels last, the precision that sr chooses.
- sr: python -m sr.train: the same with loading, logging and callbacks, without validation.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from scripts.bench.steady import rate_in, steady
from scripts.bench.timing import composed, device, interleaved, machine, photographs, rate, run, save

NETWORKS = ("espcn", "autoencoder", "vdsr")
LOSSES = {"mse": ["loss=mse"], "vgg": ["loss=vgg", "vgg_weights=random"]}
SIDE, PATCH, BATCH = 256, 96, 16
CROP_SHARE = (PATCH / SIDE) ** 2  # of the area of an image

Components = tuple[nn.Module, nn.Module, torch.optim.Optimizer]


def build(*overrides: str) -> Components:
    """The network, loss and optimizer of a config, on the device."""
    with composed(*overrides) as config:
        net = instantiate(config.model).to(device())
        return net, instantiate(config.loss).to(device()), instantiate(config.optimizer)(net.parameters())


def step(components: Components, lr: Tensor, hr: Tensor, bf16: bool = False) -> Tensor:
    """Train for one step; returns the output."""
    net, loss, optimizer = components
    with torch.autocast(lr.device.type, torch.bfloat16) if bf16 else nullcontext():
        sr: Tensor = net(lr)
        value = loss(sr, hr)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    if lr.is_cuda:
        torch.cuda.synchronize()
    return sr


def decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an image: input and target, float32 in [0, 1], ``(H, W, 3)``."""
    hr = Image.open(path).convert("RGB")
    low = hr.resize((hr.width // 2, hr.height // 2), Image.Resampling.BICUBIC)
    lr = low.resize(hr.size, Image.Resampling.BICUBIC)
    return np.asarray(lr, np.float32) / 255, np.asarray(hr, np.float32) / 255


def tensor(image: np.ndarray) -> Tensor:
    """``(H, W, 3)`` to ``(3, H, W)``."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def origin_loop(files: list[Path], loss_overrides: list[str], model: str) -> Callable[[], int]:
    """A function that makes a step of the origin project's loop and returns the number of images."""
    resize = ["loss.resize=224"] if "loss=vgg" in loss_overrides else []
    network = {"espcn": "espcn_origin", "autoencoder": "autoencoder_origin"}.get(model, model)
    components = build("experiment=origin", f"model={network}", *loss_overrides, *resize)
    remaining = cycle(files)

    def train_step() -> int:
        lr, hr = decode(next(remaining))
        sr = step(components, tensor(lr)[None].to(device()), tensor(hr)[None].to(device()))
        out = sr.detach()[0].permute(1, 2, 0).clamp(0, 1).cpu().numpy()
        peak_signal_noise_ratio(hr, out, data_range=1.0)
        structural_similarity(hr, out, channel_axis=2, data_range=1.0)
        return 1

    return train_step


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops, decoded each time."""

    def __init__(self, files: list[Path]) -> None:
        """Use each file a hundred times per epoch."""
        self.files = files * 100

    def __len__(self) -> int:
        """Crops in an epoch."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """A crop of the input and of the target, flipped at random."""
        lr, hr = decode(self.files[index])
        top, left, flip = (int(torch.randint(limit, ())) for limit in (SIDE - PATCH + 1, SIDE - PATCH + 1, 2))
        square = (slice(top, top + PATCH), slice(left, left + PATCH))
        return tensor(lr[square][:, :: -1 if flip else 1]), tensor(hr[square][:, :: -1 if flip else 1])


def plain_loop(files: list[Path], loss_overrides: list[str], model: str) -> Callable[[], int]:
    """A function that makes a step of a good plain loop and returns the number of crops."""
    components = build(f"model={model}", *loss_overrides)
    loader = DataLoader(Crops(files), BATCH, shuffle=True, num_workers=2, persistent_workers=True, drop_last=True)

    def endless() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    batches = endless()

    def train_step() -> int:
        lr, hr = next(batches)
        step(components, lr.to(device()), hr.to(device()))
        return BATCH

    return train_step


def bare_loop(loss_overrides: list[str], model: str, bf16: bool) -> Callable[[], int]:
    """A function that makes a step of sr without loading and returns the number of crops."""
    components = build(f"model={model}", *loss_overrides)
    components[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lr, hr = (torch.rand(BATCH, 3, PATCH, PATCH, device=device()) for _ in range(2))

    def train_step() -> int:
        step(components, lr, hr, bf16)
        return BATCH

    return train_step


def sr_speed(root: Path, loss_overrides: list[str], model: str, steps: int) -> float:
    """Crops per second of ``steps`` steps of a run of sr, after a first one as in the other loops."""
    path = root / "rate.json"
    run(
        "data=isr", f"data.root={root}", f"model={model}", *loss_overrides, f"data.patch={PATCH}",
        f"data.batch_size={BATCH}", "data.test_share=0", "data.repeat=100", "data.train_scored=0",
        f"+trainer.max_steps={1 + steps}", "trainer.max_epochs=1", "trainer.limit_val_batches=1",
        steady(path, 1 + steps),
    )  # fmt: skip
    return rate_in(path)


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=NETWORKS)
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=list(LOSSES))
    parser.add_argument("--seconds", type=float, default=6.0, help="seconds of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bf16 = machine()["precision_auto"] == "bf16-mixed"
    rows: list[dict[str, Any]] = []
    with photographs() as root:
        files = sorted((root / "high_res").iterdir())
        for model in options.models:
            for loss in options.losses:
                rows.append({"model": model, "loss": loss, **measure(root, files, model, LOSSES[loss], options, bf16)})
                print(rows[-1], flush=True)
    save("train", rows, unit="images of 256x256 pixels per second")


def measure(
    root: Path, files: list[Path], model: str, loss: list[str], options: argparse.Namespace, bf16: bool
) -> dict[str, float]:
    """Images per second of each loop, and ratios of sr's speed to the others."""
    origin_step, plain_step, bare_step = (
        origin_loop(files, loss, model),
        plain_loop(files, loss, model),
        bare_loop(loss, model, bf16),
    )
    steps = max(4, round(options.seconds * rate(bare_step, options.seconds) / BATCH))
    speeds = interleaved(
        {
            "origin": lambda: rate(origin_step, options.seconds),
            "plain": lambda: rate(plain_step, options.seconds) * CROP_SHARE,
            "bare": lambda: rate(bare_step, options.seconds) * CROP_SHARE,
            "sr": lambda: sr_speed(root, loss, model, steps) * CROP_SHARE,
        },
        options.rounds,
    )
    return speeds | {f"sr / {other}": speeds["sr"] / speeds[other] for other in ("origin", "plain", "bare")}


if __name__ == "__main__":
    main()
