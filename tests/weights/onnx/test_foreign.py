"""ONNX networks that sr did not write: how they want their images is found by trying."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import sr
from sr.cli import main
from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.terms import WHOLE_IMAGE
from sr.weights.find import find_model
from sr.weights.model import Model
from sr.weights.onnx.hints import OnnxHints

pytest.importorskip("onnx", reason="needs sr-compare[onnx]")
pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")

from onnx import helper

from tests.support.onnx_networks import (
    BYTES,
    FLOAT,
    HALF,
    constant,
    enlargement,
    limited,
    swapped_channels,
    write,
)


def repeated(lr: Tensor, scale: int) -> Tensor:
    return lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def about(caplog: pytest.LogCaptureFixture) -> str:
    """What was said of the network, behind its path."""
    (line,) = (message for message in caplog.messages if "net.onnx: " in message)
    return line.partition("net.onnx: ")[2]


def check_output(model: Model, lr: Tensor, tolerance: float = 1e-6) -> None:
    """The network repeats pixels, in the colours of the input."""
    (net,) = model.nets
    out = net(lr)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, repeated(lr, model.scale), rtol=0, atol=tolerance)


def test_rgb_from_0_to_1_is_recognised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "net.onnx", [*enlargement("in", "a", 4), *limited("a", "out", 1.0)])
    model = find_model(str(path))
    assert about(caplog) == "x4, RGB, 0 to 1, tiles with a margin of 4"
    assert (model.label, model.scale) == ("net", 4)
    check_output(model, torch.rand(2, 3, 5, 7))


def test_0_to_255_and_colours_in_another_order_are_recognised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [*enlargement("in", "a", 2), helper.make_node("Round", ["a"], ["b"]), *swapped_channels("b", "c")]
    model = find_model(str(write(tmp_path / "net.onnx", [*nodes, *limited("c", "out", 255.0)])))
    assert about(caplog) == "x2, RGB in, BGR out, 0 to 255, tiles with a margin of 4"
    check_output(model, torch.randint(0, 256, (1, 3, 9, 6)) / 255)


def test_an_output_of_another_range_is_recognised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [*limited("in", "a", 1.0), *enlargement("a", "b", 2), constant("white", 255.0)]
    model = find_model(str(write(tmp_path / "net.onnx", [*nodes, helper.make_node("Mul", ["b", "white"], ["out"])])))
    assert about(caplog).startswith("x2, RGB, 0 to 1 in, 0 to 255 out, ")
    check_output(model, torch.rand(1, 3, 8, 8))


def test_bytes_with_channels_last_are_recognised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [
        helper.make_node("Cast", ["in"], ["a"], to=FLOAT),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 3, 1, 2]),
        *enlargement("b", "c", 3),
        helper.make_node("Transpose", ["c"], ["d"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["d"], ["out"], to=BYTES),
    ]
    model = find_model(str(write(tmp_path / "net.onnx", nodes, [1, None, None, 3], kind=BYTES)))
    assert about(caplog).startswith("x3, RGB, 0 to 255, ")
    check_output(model, torch.randint(0, 256, (2, 3, 4, 9)) / 255)


def test_half_precision_and_gray_are_recognised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [*limited("in", "h", 1.0, HALF), helper.make_node("Cast", ["h"], ["a"], to=FLOAT)]
    nodes += [*enlargement("a", "b", 2), helper.make_node("Cast", ["b"], ["out"], to=HALF)]
    model = find_model(str(write(tmp_path / "net.onnx", nodes, [None, 1, None, None], kind=HALF)))
    assert about(caplog).startswith("x2, gray, 0 to 1, ")
    check_output(model, torch.rand(1, 1, 8, 8), tolerance=1e-3)
    assert Enlarger(model)(Image.new("RGB", (6, 5), "red")).size == (12, 10)


def test_an_input_of_fixed_size_gets_overlapping_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "net.onnx", [*enlargement("in", "a", 2), *limited("a", "out", 1.0)], [1, 3, 24, 32])
    model = find_model(str(path))
    assert about(caplog) == "x2, RGB, 0 to 1, parts of 32x24 pixels with a margin of 3 (its input has a fixed size)"
    for size in ((5, 7), (24, 32), (60, 51)):
        check_output(model, torch.rand(1, 3, *size))


def test_a_network_that_needs_multiples_gets_them(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SpaceToDepth", ["in"], ["a"], blocksize=4),
        helper.make_node("DepthToSpace", ["a"], ["b"], blocksize=4),
        *enlargement("b", "c", 2),
        *limited("c", "out", 1.0),
    ]
    model = find_model(str(write(tmp_path / "net.onnx", nodes)))
    assert getattr(model.nets[0], "align", None) == 4
    check_output(model, torch.rand(1, 3, 9, 14))


def test_a_network_that_sees_everything_gets_whole_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes = [
        helper.make_node("ReduceMax", ["in"], ["m"], axes=[2, 3], keepdims=1),
        helper.make_node("ReduceMean", ["in"], ["n"], axes=[2, 3], keepdims=1),
        helper.make_node("Div", ["in", "m"], ["a"]),
        helper.make_node("Mul", ["n", "a"], ["b"]),
        helper.make_node("Add", ["in", "b"], ["c"]),
        constant("half", 0.66),
        helper.make_node("Mul", ["c", "half"], ["d"]),
        *enlargement("d", "e", 2),
        *limited("e", "out", 1.0),
    ]
    model = find_model(str(write(tmp_path / "net.onnx", nodes)))
    assert about(caplog).endswith("whole images, no tiles")
    assert getattr(model.nets[0], "halo", None) == WHOLE_IMAGE
    assert Enlarger(model).tile == 0


def write_ambiguous(path: Path) -> Path:
    """A network that blurs the first channel: which colour that should be, nobody can tell."""
    weights = [1 / 9 if channel == 0 else float(at == 4) for channel in range(3) for at in range(9)]
    nodes = [
        constant("w", *weights, shape=[3, 1, 3, 3]),
        helper.make_node("Conv", ["in", "w"], ["a"], group=3, pads=[1, 1, 1, 1]),
        *enlargement("a", "b", 2),
        *limited("b", "out", 1.0),
    ]
    return write(path, nodes)


def test_what_cannot_be_told_is_refused_with_the_option(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_ambiguous(tmp_path / "net.onnx")
    with pytest.raises(UserError, match=r"net\.onnx: takes .*BGR.* add --order rgb or --order bgr$"):
        find_model(str(path))
    model = find_model(str(path), hints=OnnxHints(order="bgr"))
    assert about(caplog).startswith("x2, BGR, 0 to 1, ")
    lr = torch.rand(1, 3, 9, 9)
    out = model.nets[0](lr)
    torch.testing.assert_close(out[:, :2], repeated(lr, 2)[:, :2], rtol=0, atol=1e-6)  # blue is blurred
    assert (out[:, 2] - repeated(lr, 2)[:, 2]).abs().max() > 0.1


def test_the_margin_can_be_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "net.onnx", [*enlargement("in", "a", 2), *limited("a", "out", 1.0)])
    assert getattr(find_model(str(path), hints=OnnxHints(halo=10)).nets[0], "halo", None) == 10
    assert about(caplog) == "x2, RGB, 0 to 1, tiles with a margin of 10, as --halo says"


def test_predict_says_what_was_found_and_writes_the_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "net.onnx", [*enlargement("in", "a", 2), *limited("a", "out", 1.0)])
    image = Image.effect_noise((20, 12), 60).convert("RGB")
    image.save(tmp_path / "a.png")
    main(["predict", str(tmp_path / "a.png"), "-m", str(path), "-o", str(tmp_path / "b.png"), "--tile", "8"])
    with Image.open(tmp_path / "b.png") as written:
        assert written.tobytes() == image.resize((40, 24), Image.Resampling.NEAREST).tobytes()
    assert about(caplog).startswith("x2, RGB, 0 to 1, tiles")


@pytest.mark.parametrize(
    ("nodes", "shape", "message"),
    [
        (
            [*enlargement("in", "a", 2), helper.make_node("Neg", ["a"], ["out"])],
            [None, 3, None, None],
            "does not resemble",
        ),
        ([helper.make_node("Identity", ["in"], ["out"])], [None, 4, None, None], "images of 4 channels, not 3 or 1"),
        ([helper.make_node("Identity", ["in"], ["out"])], [2, 3, None, None], "takes 2 images at once, not 1"),
        ([helper.make_node("Identity", ["in"], ["out"])], [None, 3], "float.* of 2 dimensions, not images"),
        ([helper.make_node("Identity", ["in"], ["out"])], [1, 3, 8, 8], "takes images of 8x8 pixels only"),
        ([helper.make_node("GlobalMaxPool", ["in"], ["out"])], [None, 3, None, None], "which is not a multiple"),
    ],
)
def test_networks_that_do_not_enlarge_images_are_refused(
    tmp_path: Path, nodes: list[object], shape: list[int | None], message: str
) -> None:
    path = write(tmp_path / "net.onnx", nodes, shape)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message) as error_info:
        find_model(str(path))
    assert str(error_info.value).startswith(f"{path}: ")
    assert "\n" not in str(error_info.value)


def test_another_scale_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", [*enlargement("in", "a", 2), *limited("a", "out", 1.0)])
    with pytest.raises(UserError, match=r"net\.onnx: is a network for scale 2, not 4"):
        find_model(str(path), 4)


@pytest.mark.slow
def test_a_trained_network_without_its_metadata_is_used_as_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import onnx

    main(["export", "espcn_x4", "-o", str(tmp_path / "ours.onnx")])
    proto = onnx.load(tmp_path / "ours.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "net.onnx")
    ours, foreign = find_model(str(tmp_path / "ours.onnx")), find_model(str(tmp_path / "net.onnx"))
    said = about(caplog)
    assert said.startswith("x4, RGB (guessed; BGR differs by 1.")
    assert "of 255 levels: --order), 0 to 1, tiles with a margin of " in said
    lr = torch.rand(1, 3, 20, 31)
    torch.testing.assert_close(foreign.nets[0](lr), ours.nets[0](lr), rtol=0, atol=1e-6)


def test_python_takes_what_is_known_of_a_network(tmp_path: Path) -> None:
    path = write_ambiguous(tmp_path / "net.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    rgb, bgr = (sr.load(str(path), onnx=OnnxHints(order=order))(pixels) for order in ("rgb", "bgr"))
    assert not np.array_equal(rgb, bgr)
