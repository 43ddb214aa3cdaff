"""No training step waits for a GPU: `tests/gpu` proves it on one, this finds most of it without."""

from typing import Any

import pytest
from lightning import Callback, LightningModule, Trainer
from omegaconf import OmegaConf

from sr.runs.build import build
from tests.support.runs import SMALL, Compose, MakeFolder
from tests.support.synchronisations import steps_on_a_pretended_gpu


class ReadLoss(Callback):
    """Reads the loss of every step."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        float(outputs["loss"])


def lines_that_wait(
    compose_config: Compose,
    make_folder: MakeFolder,
    monkeypatch: pytest.MonkeyPatch,
    *options: str,
    reads: bool = False,
) -> list[str]:
    settings = [f"data.root={make_folder(count=10)}", "trainer.max_epochs=2", "trainer.limit_val_batches=0"]
    config = compose_config([*SMALL, "data=isr", *settings, "trainer.log_every_n_steps=1", *options])
    config_dict: Any = OmegaConf.to_container(config, resolve=True)
    parts = build(config, config_dict)
    parts.datamodule.trainer = parts.trainer
    parts.datamodule.setup("fit")
    with steps_on_a_pretended_gpu(monkeypatch) as steps:
        callbacks: list[Callback] = parts.trainer.callbacks  # type: ignore[attr-defined]
        parts.trainer.callbacks = [steps, *callbacks, *([ReadLoss()] if reads else [])]  # type: ignore[attr-defined]
        parts.trainer.fit(parts.module, parts.datamodule)
    assert parts.trainer.global_step == 4
    parts.checkpoints.release()
    return steps.reads.lines


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("callbacks=ema", "logger=both"),
        ("loss=vgg", "vgg_weights=random", "trainer.precision=bf16-mixed"),
        ("loss=luma", "data.cache=device"),
        ("loss=lpips", "vgg_weights=random"),
        ("loss=ssim",),
        ("trainer.gradient_clip_val=1", "optimizer=sgd", "loss=charbonnier", "logger=csv"),
        ("scale=2", "model=rlfn", "data.cache=device"),
        ("scale=2", "model=span", "data.cache=disk", "data.cache_dir=${run_dir}/cache"),
    ],
    ids=lambda options: " ".join(options) or "default",
)
def test_no_training_step_reads_a_value_from_the_device_or_copies_one_to_it(
    options: tuple[str, ...], compose_config: Compose, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines_that_wait(compose_config, make_folder, monkeypatch, *options) == []


def test_a_callback_that_reads_the_loss_is_found(
    compose_config: Compose, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_that_wait(compose_config, make_folder, monkeypatch, reads=True)
    assert len(lines) == 4
    assert all('float(outputs["loss"])' in line for line in lines)
