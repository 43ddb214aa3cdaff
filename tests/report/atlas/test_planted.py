"""Networks with a planted weakness, run on degraded photographs: the weakness is the first finding of the page."""

import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from sr.benchmark.evaluate import evaluate
from sr.benchmark.named_degradations import named_degradations
from sr.benchmark.tables import write_rows
from sr.image import resize
from sr.report.page import write_report
from sr.train import config_dir
from sr.weights.model import Model
from tests.support.images import photograph

KINDS = {"photo": 14, "text": 7}


class Sharpened(nn.Module):
    """Bicubic enlargement, sharpened by some share of what a box blur of the output takes away."""

    scale = 2
    halo = 16

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(amount))

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = resize(lr, 2)
        return enlarged + self.amount * (enlarged - _blurred(enlarged))


class BreaksOnBlocks(Sharpened):
    """Doubles the steps across the borders of the blocks of 8x8 pixels that JPEG has."""

    def forward(self, lr: Tensor) -> Tensor:
        broken = lr.clone()
        for start in range(8, lr.shape[-1] - 1, 8):
            step = lr[..., start] - lr[..., start - 1]
            smooth = (lr[..., start + 1] - lr[..., start - 2]) / 3 if start + 1 < lr.shape[-1] else step
            broken[..., start] += 4 * (step - smooth)
        return super().forward(broken)


class BreaksOnText(Sharpened):
    """Blurs wherever dark is next to white, as in text."""

    def forward(self, lr: Tensor) -> Tensor:
        contrast = F.max_pool2d(lr, 3, 1, 1) + F.max_pool2d(-lr, 3, 1, 1)
        is_text = ((contrast > 0.4) & (F.max_pool2d(lr, 3, 1, 1) > 0.9)).all(dim=1, keepdim=True).to(lr.dtype)
        return super().forward(lr + is_text * (_blurred(lr) - lr))


def _blurred(image: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)


def text(seed: int) -> Image.Image:
    """Black letters on white."""
    image = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(image)
    for line in range(7):
        letters = "".join(chr(65 + (seed * 31 + line * 7 + place * 11) % 26) for place in range(14))
        draw.text((2, 2 + 13 * line), letters, fill="black")
    return image


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs") / "Mixed"
    folder.mkdir()
    for number in range(KINDS["photo"]):
        photograph(96, 96, seed=number).save(folder / f"photo_{number}.png")
    for number in range(KINDS["text"]):
        text(number).save(folder / f"text_{number}.png")
    return folder


@pytest.mark.parametrize(
    ("broken", "place"),
    [(BreaksOnBlocks(0.3), "under jpeg"), (BreaksOnText(0.3), "on photographs named text")],
    ids=["jpeg", "text"],
)
def test_a_planted_weakness_is_the_first_finding_of_the_page(
    photographs: Path, tmp_path: Path, broken: nn.Module, place: str
) -> None:
    networks = {"mild": Sharpened(0.2), "sharp": Sharpened(0.4), "planted": broken}
    models = [Model(name, 2, [net.eval()], weights_hash=name) for name, net in networks.items()]
    degradations = named_degradations("bicubic,blur,jpeg", config_dir())
    rows = [*evaluate(models, [photographs], scale=2, degradations=degradations)]
    write_rows(rows, None, None, record=tmp_path / "scores")
    report = write_report([tmp_path / "scores"], json_file=tmp_path / "numbers.json")
    page = (tmp_path / "scores" / "report.html").read_text()
    first = re.findall(r"<li>(.*?)</li>", page, re.DOTALL)[0]
    assert first.startswith(f"planted is weak {place} (Mixed, ")
    finding = json.loads((tmp_path / "numbers.json").read_text())["atlas"]["findings"][0]
    assert (finding["configuration"], finding["place"]) == ("planted", place)
    assert report.files
