from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf
from torch.nn.parallel import DistributedDataParallel

from sr.errors import UserError
from sr.runs.build import Parts, build
from sr.trackers.tensorboard import TensorBoardTracker
from tests.support.runs import SMALL, Compose, MakeFolder


@pytest.fixture
def parts(compose_config: Compose, make_folder: MakeFolder) -> Any:
    """Build the parts of a config with overrides; with other settings of `build`."""
    root = make_folder(count=10)

    def make(*overrides: str, **settings: Any) -> Parts:
        config = compose_config([*SMALL, "data=isr", f"data.root={root}", *overrides])
        config_dict: Any = OmegaConf.to_container(config, resolve=True)
        return build(config, config_dict, **settings)

    return make


def test_a_resumed_run_hides_what_tensorboard_holds_from_its_step_on_and_no_other_logger_is_told(parts: Any) -> None:
    built = parts("logger=both", resumed_at=7)
    assert {type(logger) for logger in built.loggers} == {TensorBoardTracker, CSVLogger}
    (board,) = (logger for logger in built.loggers if isinstance(logger, TensorBoardTracker))
    assert board._kwargs["purge_step"] == 7
    (board,) = parts("logger=tensorboard").loggers
    assert board._kwargs.get("purge_step") is None


def test_a_precision_that_was_decided_before_is_kept(parts: Any) -> None:
    assert parts("trainer.precision=auto", precision="bf16-mixed").trainer.precision == "bf16-mixed"
    assert parts("trainer.precision=32-true").trainer.precision == "32-true"


def test_the_checkpoint_can_rebuild_the_network(parts: Any) -> None:
    checkpoint: dict[str, Any] = {"global_step": 0}
    parts("model=vdsr", "scale=1", "data.scales=[2,3]", "scorer.protocol=y").module.on_save_checkpoint(checkpoint)
    config = checkpoint["sr"]
    assert config["model"]["_target_"] == "sr.nets.vdsr.VDSR"
    assert (config["scale"], config["scales"], config["protocol"]) == (1, [2, 3], "y")
    assert "shrink" not in config  # each of its scales says what was degraded


def test_the_checkpoint_of_a_network_of_scale_1_records_how_its_input_was_degraded(parts: Any) -> None:
    checkpoint: dict[str, Any] = {"global_step": 0}
    parts("data.shrink=4").module.on_save_checkpoint(checkpoint)
    assert checkpoint["sr"]["shrink"] == 4
    parts("scale=2").module.on_save_checkpoint(checkpoint)
    assert "shrink" not in checkpoint["sr"]


def test_several_scales_need_a_network_that_takes_the_enlarged_image(parts: Any) -> None:
    with pytest.raises(UserError, match=r"data\.scales needs a network that takes the enlarged image"):
        parts("model=espcn", "scale=1", "data.scales=[2,3]")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.betas=[2,0.9]", "optimizer"),
        ("scheduler.warmup=7", "scheduler|warmup"),
        ("callbacks.checkpoints=null", "exactly one RunCheckpoints is needed, there are 0"),
    ],
)
def test_what_a_part_refuses_is_named(parts: Any, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parts(override)


def test_logs_and_checkpoints_go_into_the_run_folder(parts: Any, tmp_path: Path) -> None:
    built = parts()
    assert Path(built.trainer.default_root_dir) == tmp_path / "run"
    assert Path(built.loggers[0].log_dir) == tmp_path / "run"
    assert Path(built.checkpoints.dirpath) == tmp_path / "run" / "checkpoints"


def test_the_seed_decides_the_first_weights(parts: Any) -> None:
    first, again, other = (parts(f"seed={seed}").net.state_dict() for seed in (1, 1, 2))
    name = next(iter(first))
    assert (first[name] == again[name]).all()
    assert not (first[name] == other[name]).all()


@pytest.mark.parametrize(("deterministic", "benchmark"), [("true", False), ("false", True)])
def test_algorithms_are_not_timed_where_results_are_to_be_reproducible_and_the_run_says_so(
    deterministic: str, benchmark: bool, parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    try:
        parts("+trainer.benchmark=true", f"trainer.deterministic={deterministic}")
        assert torch.backends.cudnn.benchmark == benchmark
        assert ("trainer.benchmark=false" in caplog.text) != benchmark
    finally:
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(mode=False)


def test_algorithms_are_not_timed_because_an_earlier_run_in_the_process_did(parts: Any) -> None:
    try:
        parts("+trainer.benchmark=true")
        parts()
        assert not torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = False


def test_several_gpus_do_not_send_each_other_what_a_loss_holds(parts: Any, tmp_path: Path) -> None:
    module = parts("model=autoencoder", "loss=vgg", "vgg_weights=random").module
    module.net.register_buffer("running_mean", torch.zeros(7))
    module.loss.add_module("own", torch.nn.BatchNorm1d(5, affine=False))  # may change from step to step
    del module.loss.own.running_var, module.loss.own.num_batches_tracked
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        distributed = DistributedDataParallel(module)
    finally:
        torch.distributed.destroy_process_group()
    assert [buffer.shape for buffer in distributed.modules_buffers] == [(7,), (5,)]


def test_the_network_is_compiled_for_whole_batches(parts: Any) -> None:
    assert parts("data.batch_size=5").module._compiled_batch == 5
