"""Images are scored side by side, with the results of one after the other."""

import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sr.benchmark import scoring
from sr.benchmark.contenders import Contender
from sr.benchmark.evaluate import evaluate
from sr.benchmark.rows import Row
from sr.errors import UserError
from sr.image import resize, to_float
from sr.inference.enlarger import Enlarger
from sr.machine.side_by_side import side_by_side
from sr.metrics import Metric
from sr.metrics.scoring import DEFAULT
from sr.metrics.structure import ms_ssim
from sr.terms import BASELINES
from sr.weights.find import find_model
from sr.weights.model import Model
from tests.support.images import photograph


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Images of different sizes."""
    (tmp_path / "images").mkdir()
    for number, side in enumerate((160, 30, 90, 48, 120, 64, 40)):
        photograph(side, side + 6, number).save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "images"


def test_an_image_that_is_too_small_for_a_metric_is_named(tmp_path: Path) -> None:
    for name, side in (("large", 200), ("small", 170)):
        photograph(side, side, 1).save(tmp_path / f"{name}.png")
    metrics = {**DEFAULT, "ms_ssim": Metric(ms_ssim, "MS-SSIM")}
    with pytest.raises(UserError, match=r"small: ms_ssim .* needs .* 176x176 .*, got 170x170; leave out the image, or"):
        list(evaluate([find_model("espcn_x2")], [tmp_path], scale=2, device="cpu", protocol="rgb", metrics=metrics))


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


def scores(rows: list[Row]) -> list[object]:
    return [(row.name, row.groups, row.by_network, [image[:3] for image in row.images]) for row in rows]


def score_with(threads: int, models: list[Model], data: Path, **options: object) -> list[Row]:
    with torch_threads(threads):
        return list(evaluate(models, [data], scale=2, device="cpu", baselines=BASELINES, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["y", "rgb"])
def test_scores_and_their_order_do_not_depend_on_the_number_of_threads(
    data: Path, tmp_path: Path, protocol: str
) -> None:
    models = [find_model(name, 2) for name in ("espcn_x2", "vdsr")]
    one, three = (
        score_with(threads, models, data, protocol=protocol, save=tmp_path / str(threads)) for threads in (1, 3)
    )
    assert scores(one) == scores(three)
    saved = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.png"))
    assert len(saved) == 5 * 7
    for path in saved:
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "3" / path).read_bytes()


def test_faults_of_finished_pictures_are_listed_in_the_order_of_the_images(data: Path) -> None:
    contender = Contender("copies", data)
    score_with(3, [], data, contenders=[contender])
    assert list(contender.faults.values()) == [list("0123456")]


def test_metrics_that_are_networks_compute_in_float32_on_a_gpu(data: Path) -> None:
    in_tf32: list[bool] = []

    def watching(sr: Tensor, hr: Tensor) -> Tensor:
        in_tf32.append(torch.backends.cudnn.allow_tf32)
        return torch.zeros(len(sr))

    score_with(1, [], data, metrics={**DEFAULT, "watching": Metric(watching, "watching")})
    assert set(in_tf32[1:]) == {False}  # the first is a trial on small images
    assert torch.backends.cudnn.allow_tf32


def test_the_clock_starts_once_each_network_on_a_gpu_has_had_an_image(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnGpu(Enlarger):
        """Says that it is on a GPU, and is slow the first time."""

        def __init__(self, model: Model, **settings: Any) -> None:
            super().__init__(model, **settings)
            self.device = torch.device("mps")

        def enlarge(self, lr: Tensor, place: torch.device) -> Tensor:
            if not hasattr(self, "is_warm"):
                self.is_warm = True
                time.sleep(0.5)
            return resize(to_float(lr), 2).clamp(0, 1)

    nets = [Remembering().eval(), Remembering().eval()]
    monkeypatch.setattr("sr.benchmark.evaluate.Enlarger", OnGpu)
    row = score_with(2, [Model("own", 2, nets)], data)[-1]
    assert len(row.images) == 7
    assert max(image.milliseconds or 0 for image in row.images) < 400


class Remembering(nn.Module):
    """Keeps a value from one call of a layer to the next, as some networks do."""

    scale, halo = 2, 0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.size: torch.Size | None = None

    def forward(self, lr: Tensor) -> Tensor:
        self.size = lr.shape
        time.sleep(0.01)
        assert self.size == lr.shape, "another thread used the network at the same time"
        return resize(self.weight * lr, 2)


def test_no_network_is_used_by_two_threads_at_a_time(data: Path) -> None:
    _, _, _, row = score_with(4, [Model("own", 2, [Remembering().eval()])], data)
    assert len(row.images) == 7


def test_images_are_scored_one_by_one_by_a_network_that_cannot_be_copied(data: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer = nn.utils.weight_norm(nn.Conv2d(3, 12, 1))
    net = nn.Sequential(layer, nn.PixelShuffle(2))
    net.scale, net.halo = 2, 0  # type: ignore[assignment]
    row = score_with(3, [Model("normed", 2, [net.eval()])], data)[-1]
    assert row.by_network == score_with(1, [Model("normed", 2, [net.eval()])], data)[-1].by_network


@pytest.mark.parametrize("threads", [1, 3])
def test_a_network_that_refuses_to_be_copied_is_scored_with_any_number_of_threads(data: Path, threads: int) -> None:
    class Session(Remembering):
        """Cannot be copied, as what ONNX Runtime has loaded."""

        def __deepcopy__(self, memo: object) -> "Session":
            raise TypeError("cannot pickle 'InferenceSession' object")

    _, _, _, row = score_with(threads, [Model("session", 2, [Session().eval()])], data)
    assert len(row.images) == 7


def test_a_damaged_image_ends_the_scoring_with_its_name(data: Path) -> None:
    (data / "2.png").write_bytes(b"no image")
    (data / "5.png").write_bytes((data / "5.png").read_bytes()[:-300])
    with pytest.raises(UserError, match=r"2\.png: cannot be read as an image"):
        score_with(3, [], data)


@pytest.mark.parametrize(
    ("tile", "most"),
    [
        (None, lambda free: free / 8 / 64),
        (0, lambda free: 0),  # whole images take unknown memory: one at a time
        (8, lambda free: free / 8 / 64),
    ],
)
def test_images_in_flight_are_bounded_by_the_free_memory(
    data: Path, monkeypatch: pytest.MonkeyPatch, tile: int | None, most: Callable[[float], float]
) -> None:
    seen: list[tuple[list[float], float]] = []

    def watched(items: object, sizes: list[float], make_work: object, *, workers: int, most: float) -> object:
        seen.append((sizes, most))
        return side_by_side(items, sizes, make_work, workers=workers, most=most)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "side_by_side", watched)
    monkeypatch.setattr(scoring, "free_memory", lambda device: 2**30)
    score_with(2, [find_model("espcn_x2")], data, tile=tile)
    ((sizes, limit),) = seen
    assert sizes[:2] == [160 * 166 * 3, 30 * 36 * 3]
    assert limit == most(2**30)


@pytest.mark.slow
def test_ctrl_c_ends_the_scoring_at_once(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(6):
        Image.effect_noise((900, 900), 60).convert("RGB").save(tmp_path / "images" / f"{number}.png")
    imports = "import torch; import sr.benchmark.evaluate; from sr.cli import main"
    code = f"{imports}; torch.set_num_threads(2); print('ready', flush=True); main()"
    command = [
        sys.executable,
        "-c",
        code,
        "evaluate",
        "vdsr",
        "--scale",
        "2",
        "--x8",
        "--data",
        str(tmp_path / "images"),
    ]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*command, "--device", "cpu"], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(6)  # it takes minutes
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert time.monotonic() - begun < 10  # on a busy machine
    assert errors.rstrip().endswith("interrupted")
