"""Time to enlarge an image, by memory layout, precision and tiles, and with ONNX Runtime.

python -m scripts.bench.infer            # about 20 minutes on two cores; writes benchmarks/infer.json
python -m scripts.bench.infer --sizes 256x256 --scale 2

Milliseconds per image of the given output size. "sr" is what sr does: channels last, in the precision that
`trainer.precision=auto` chooses. ONNX Runtime needs: pip install onnx onnxscript onnxruntime.
"""

import argparse
import importlib.util
import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from scripts.bench.timing import composed, device, interleaved, machine, save
from sr.inference.tiles import enlarge_in_tiles

NETWORKS = ("espcn", "autoencoder", "vdsr", "edsr")
TILES = (128, 256, 512)


def milliseconds(call: Callable[[], object]) -> float:
    """Duration of a call."""
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def onnx_runtime(net: nn.Module, lr: Tensor) -> Callable[[], object] | None:
    """The network in ONNX Runtime with the same number of threads, or None if it is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        return None
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    providers = ["CUDAExecutionProvider"] if lr.is_cuda else ["CPUExecutionProvider"]
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/net.onnx"
        torch.onnx.export(net, (lr,), file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file, options, providers=providers)
    feeds = {session.get_inputs()[0].name: lr.cpu().numpy()}
    return lambda: session.run(None, feeds)


def variants(net: nn.Module, lr: Tensor, scale: int, bf16: bool) -> dict[str, Callable[[], object]]:
    """The ways to run a network on an image, by name."""
    contiguous, channels_last = lr.contiguous(), lr.contiguous(memory_format=torch.channels_last)

    def call(x: Tensor, half: bool, tile: int | None = None) -> Callable[[], object]:
        def enlarge() -> object:
            with torch.inference_mode(), torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
                return net(x) if tile is None else list(enlarge_in_tiles(net, x, scale, tile))

        return enlarge

    calls = {"float32": call(contiguous, False), "channels last": call(channels_last, False)}
    calls["and bfloat16"] = call(channels_last, True)
    calls |= {f"sr, tiles of {tile}": call(channels_last, bf16, tile) for tile in TILES if tile < min(lr.shape[-2:])}
    session = onnx_runtime(net, contiguous)
    return calls | ({"ONNX Runtime": session} if session else {})


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=NETWORKS)
    parser.add_argument("--sizes", nargs="+", default=["256x256", "1920x1080"], help="WIDTHxHEIGHT of the result")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bf16 = machine()["precision_auto"] == "bf16-mixed"
    rows: list[dict[str, Any]] = []
    for model in options.models:
        with composed(f"model={model}", f"scale={options.scale}") as config:
            net: nn.Module = instantiate(config.model).to(device()).eval()
        for size in options.sizes:
            width, height = (int(side) // options.scale for side in size.split("x"))
            calls = variants(net, torch.rand(1, 3, height, width, device=device()), options.scale, bf16)
            for call in calls.values():
                call()
            measurements = {name: partial(milliseconds, call) for name, call in calls.items()}
            medians = interleaved(measurements, options.rounds)
            rows += [{"model": model, "size": size, "way": name, "ms": value} for name, value in medians.items()]
            print(*rows[-len(medians) :], sep="\n", flush=True)
    save("infer", rows, scale=options.scale)


if __name__ == "__main__":
    main()
