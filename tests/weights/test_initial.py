"""Starting a network from the weights of another one."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sr.errors import UserError
from sr.image import resize
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.weights import zoo
from sr.weights.checkpoint import network_config, save_network
from sr.weights.initial import copy_weights, freeze
from tests.support.community import built, edsr_state, needs_spandrel
from tests.support.hostile.files import hostile_files

BODY = ["body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"]
TAIL = ["tail.weight", "tail.bias"]


def trained(scale: int) -> ESPCN:
    """A network without any zero weight."""
    net = ESPCN(scale=scale, channels=8)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    return net


def saved(path: Path, net: ESPCN, **config: object) -> Path:
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"sr": {**network_config({}, net.scale, "y"), **config}, "state_dict": state, "global_step": 7}, path)
    return path


def test_tensors_of_the_same_name_and_shape_are_copied_exactly_and_the_others_start_anew(tmp_path: Path) -> None:
    source, net = trained(2), ESPCN(scale=3, channels=8)
    copied = copy_weights(net, saved(tmp_path / "x2.ckpt", source))
    assert copied.loaded == BODY
    assert copied.fresh == {"tail.weight": "27x4x3x3, there 12x4x3x3", "tail.bias": "27, there 12"}
    assert copied.unused == []
    assert all(torch.equal(net.state_dict()[name], source.state_dict()[name]) for name in BODY)
    assert not any(net.state_dict()[name].any() for name in TAIL)


def test_x3_from_x2_starts_as_the_bicubic_image_since_its_tail_is_zero(tmp_path: Path) -> None:
    net = ESPCN(scale=3, channels=8)
    copy_weights(net, saved(tmp_path / "x2.ckpt", trained(2)))
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(net(lr), resize(lr, 3))


def test_what_the_network_or_the_file_lacks_is_named(tmp_path: Path) -> None:
    longer = ESPCN(scale=2, num_blocks=3, channels=8)
    copied = copy_weights(longer, saved(tmp_path / "two.ckpt", trained(2)))
    assert copied.loaded == [*BODY, "tail.bias"]
    assert copied.fresh["body.4.weight"] == "not in the file"
    copied = copy_weights(ESPCN(scale=2, channels=8), saved(tmp_path / "three.ckpt", longer))
    assert copied.unused == ["body.4.bias", "body.4.weight"]


def test_a_file_of_which_nothing_fits_is_refused_with_an_example(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", trained(2))
    with pytest.raises(UserError, match=r"a.ckpt: none of its weights fits this network, such as head.weight \(not in"):
        copy_weights(EDSR(scale=2, num_blocks=1, channels=4), path)


def test_the_steps_behind_weights_come_from_the_checkpoint(tmp_path: Path) -> None:
    net = trained(2)
    assert copy_weights(net, saved(tmp_path / "early.ckpt", net)).steps == 7  # without a count of its own
    assert copy_weights(net, saved(tmp_path / "a.ckpt", net, steps=107)).steps == 107
    assert copy_weights(net, saved(tmp_path / "b.ckpt", net, steps=None)).steps is None
    for invalid in (-1, 10**30, "7", 1.5):
        assert copy_weights(net, saved(tmp_path / "c.ckpt", net, steps=invalid)).steps is None
    config = network_config({}, 2, "y")
    save_network(tmp_path / "d.safetensors", net, config)
    assert copy_weights(net, tmp_path / "d.safetensors").steps is None
    save_network(tmp_path / "e.safetensors", net, {**config, "steps": 9})
    assert copy_weights(net, tmp_path / "e.safetensors").steps == 9
    shipped = zoo.find("espcn_x2")
    assert copy_weights(ESPCN(scale=3, num_blocks=3), shipped).steps == 33_840


def test_a_bare_state_dict_is_read_by_the_names_of_the_network(tmp_path: Path) -> None:
    source, net = trained(2), ESPCN(scale=2, channels=8)
    safetensors.torch.save_file(source.state_dict(), tmp_path / "bare.safetensors")
    assert copy_weights(net, tmp_path / "bare.safetensors").fresh == {}
    assert all(torch.equal(net.state_dict()[name], value) for name, value in source.state_dict().items())


@pytest.mark.parametrize("tail", [False, True], ids=["alone", "beside others"])
def test_a_network_whose_layers_are_called_net_takes_its_own_state_dict(tmp_path: Path, tail: bool) -> None:
    def make() -> nn.Module:
        net = nn.Module()
        net.net = nn.Sequential(nn.Conv2d(3, 3, 3))
        if tail:
            net.tail = nn.Conv2d(3, 3, 3)
        return net

    source, net = make(), make()
    torch.save(source.state_dict(), tmp_path / "inner.pth")
    copied = copy_weights(net, tmp_path / "inner.pth")
    assert (copied.fresh, copied.unused) == ({}, [])
    assert all(torch.equal(net.state_dict()[name], value) for name, value in source.state_dict().items())


def test_the_bare_state_dict_of_a_training_has_a_network_and_more(tmp_path: Path) -> None:
    source, net = trained(2), ESPCN(scale=2, channels=8)
    state = {f"net.{name}": value for name, value in source.state_dict().items()} | {"loss.weight": torch.ones(1)}
    torch.save(state, tmp_path / "state.pth")
    assert copy_weights(net, tmp_path / "state.pth").fresh == {}
    assert all(torch.equal(net.state_dict()[name], value) for name, value in source.state_dict().items())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.full((8, 3, 5, 5), torch.nan), "body.0.weight are not finite"),
        (torch.ones(8, 3, 5, 5, dtype=torch.int64), "body.0.weight are of torch.int64"),
        (torch.ones(9, 3, 5, 5)[:8], "body.0.weight are a view of a larger storage"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(tmp_path: Path, value: torch.Tensor, message: str) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": {"net.body.0.weight": value}}, path)
    net = ESPCN(scale=2, channels=8)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(UserError, match=message):
        copy_weights(net, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(".ckpt", marks=pytest.mark.slow),
        ".safetensors",
        pytest.param(".pth", marks=[pytest.mark.slow, needs_spandrel]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_hostile_files_run_no_code_and_are_refused_in_one_line_or_hold_usable_weights(
    tmp_path: Path, suffix: str
) -> None:
    marker = tmp_path / "marker"
    count = 0
    for name, path in hostile_files(suffix, tmp_path, marker):
        net = ESPCN(scale=2, channels=8)
        try:
            copied = copy_weights(net, path)
            assert copied.steps is None or 0 <= copied.steps <= 2**53, name
            texts = copied.unused
        except UserError as error:
            texts = [str(error)]
        assert all(text.isprintable() and len(text) < 400 for text in texts), name
        assert all(parameter.isfinite().all() for parameter in net.parameters()), name
        assert not marker.exists(), name
        count += 1
    assert count > 20


def test_parameters_are_frozen_by_patterns() -> None:
    for patterns in ("body.2.*, tail.bias", ["tail.bias", "body.2.*"]):
        net = ESPCN(scale=2, channels=8)
        assert freeze(net, patterns) == ["body.2.weight", "body.2.bias", "tail.bias"]
        trainable = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
        assert trainable == ["body.0.weight", "body.0.bias", "tail.weight"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("head.*", r"no parameter is called 'head\.\*': this network has body, tail"),
        ("body.*,", "no parameter is called ''"),
        ("*", "nothing is left to train"),
        (["body.*", "tail.*"], "nothing is left to train"),
    ],
)
def test_patterns_that_match_nothing_or_everything_are_refused(patterns: str | list[str], message: str) -> None:
    net = ESPCN(scale=2, channels=8)
    with pytest.raises(UserError, match=message):
        freeze(net, patterns)
    assert all(parameter.requires_grad for parameter in net.parameters())


def basicsr_features(state: dict[str, Tensor], lr: Tensor, num_blocks: int, factors: tuple[int, ...]) -> Tensor:
    """What reaches the last layer of EDSR in BasicSR, by its published equations."""

    def conv(name: str, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    x = head = conv("conv_first", (lr - mean) * 255)
    for block in range(num_blocks):
        x = x + conv(f"body.{block}.conv2", conv(f"body.{block}.conv1", x).relu())
    x = conv("conv_after_body", x) + head
    for at, factor in enumerate(factors):
        x = nn.functional.pixel_shuffle(conv(f"upsample.{2 * at}", x), factor)
    return x


@pytest.mark.parametrize(("scale", "factors"), [(2, (2,)), (3, (3,)), (4, (2, 2))])
def test_edsr_of_basicsr_gives_the_same_features_and_starts_as_bicubic(
    tmp_path: Path, scale: int, factors: tuple[int, ...]
) -> None:
    state = edsr_state(3, factors)
    torch.save({"params": state}, tmp_path / "edsr.pth")
    net = EDSR(scale=scale, num_blocks=3)
    copied = copy_weights(net, tmp_path / "edsr.pth")
    assert list(copied.fresh) == TAIL
    assert "left out" in copied.note
    features: list[Tensor] = []
    net.upsampler.register_forward_hook(lambda module, inputs, output: features.append(output))
    lr = torch.rand(1, 3, 30, 30)
    with torch.no_grad():
        assert torch.equal(net(lr), resize(lr, scale))
    border = scale * net.halo  # outside, zeros stand for the middle of the range, in BasicSR for the mean
    inner = (slice(None), slice(None), slice(border, -border), slice(border, -border))
    expected = basicsr_features(state, lr, 3, factors)
    torch.testing.assert_close(255 * features[0][inner], expected[inner], rtol=1e-4, atol=1e-2)


def test_edsr_of_the_authors_is_the_same_by_other_names(tmp_path: Path) -> None:
    state = edsr_state(2, (2,))
    names = {"conv_first": "head.0", "conv_after_body": "body.2", "conv_last": "tail.1", "upsample.0": "tail.0.0"}
    names |= {
        f"body.{block}.conv{number + 1}": f"body.{block}.body.{2 * number}" for block in (0, 1) for number in (0, 1)
    }
    authors = {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}
    means = {f"{side}_mean.{kind}": torch.ones(3) for side in ("sub", "add") for kind in ("weight", "bias")}
    torch.save(state, tmp_path / "basicsr.pth")
    torch.save({**authors, **means}, tmp_path / "authors.pt", _use_new_zipfile_serialization=False)
    first, second = EDSR(scale=2, num_blocks=2), EDSR(scale=2, num_blocks=2)
    for net, name in ((first, "basicsr.pth"), (second, "authors.pt")):
        assert list(copy_weights(net, tmp_path / name).fresh) == TAIL
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_edsr_of_other_widths_and_for_other_networks_is_refused(tmp_path: Path) -> None:
    torch.save(edsr_state(1, (2,), channels=32), tmp_path / "wide.pth")
    with pytest.raises(UserError, match=r"wide\.pth: is an EDSR that cannot be converted: only those of 64 channels"):
        copy_weights(EDSR(scale=2, num_blocks=1, channels=32), tmp_path / "wide.pth")
    torch.save(edsr_state(1, (2,)), tmp_path / "edsr.pth")
    with pytest.raises(UserError, match=r"edsr\.pth: is an EDSR of another program: it takes model=edsr"):
        copy_weights(ESPCN(scale=2), tmp_path / "edsr.pth")


@needs_spandrel
def test_an_architecture_that_sr_does_not_have_is_refused_by_its_name(tmp_path: Path) -> None:
    torch.save({"params_ema": built("compact").state_dict()}, tmp_path / "a.pth")
    with pytest.raises(
        UserError, match=r"a\.pth: is a model of RealESRGAN Compact by other names than those of this network"
    ):
        copy_weights(VDSR(num_blocks=2, channels=8), tmp_path / "a.pth")


def test_a_bare_state_dict_of_a_network_of_sr_is_taken(tmp_path: Path) -> None:
    source, net = EDSR(scale=2, num_blocks=2, channels=8), EDSR(scale=2, num_blocks=2, channels=8)
    torch.save({"params": source.state_dict()}, tmp_path / "a.pth")
    copied = copy_weights(net, tmp_path / "a.pth")
    assert (copied.fresh, copied.unused, copied.steps, copied.note) == ({}, [], None, "")
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in net.state_dict().items())
