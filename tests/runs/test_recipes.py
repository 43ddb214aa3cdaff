"""The recipes of conf/experiment."""

from pathlib import Path

import pytest
import torch

from sr.errors import UserError
from sr.weights.checkpoint import load_network
from tests.support.runs import Command, MakeFolder, result_of

# Small networks: a step at full size takes a minute.
RECIPE_SIZES = {f"edsr_x{scale}": ["model.num_blocks=2", "model.channels=8"] for scale in (2, 3, 4)}
RECIPE_SIZES |= {"vdsr": ["model.num_blocks=2"], "autoencoder_x2": ["model.channels=8"]}
RECIPE_SIZES |= {name: ["model.num_blocks=1", "model.channels=8"] for name in ("rlfn", "span", "compact")}
RECIPE_SIZES |= {"resblock_large": ["model.num_blocks=2"]}
RECIPES = [f"{name}_x{scale}" for name in ("espcn", "edsr") for scale in (2, 3, 4)]
RECIPES += ["vdsr", "autoencoder_x2", "fsrcnn", "resblock", "resblock_large", "rlfn", "span", "compact"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_a_step_and_its_checkpoint_upscales(
    command: Command, make_folder: MakeFolder, tmp_path: Path, recipe: str
) -> None:
    root = make_folder(count=3, size=(200, 200))
    code, text = command(
        f"experiment={recipe}", f"data.root={root}", "trainer.max_epochs=1", "trainer.limit_train_batches=1",
        "data.batch_size=2", "data.patch=48", "data.val_share=0.4", "logger=none", *RECIPE_SIZES.get(recipe, []),
    )  # fmt: skip
    assert code == 0, text
    result = result_of(tmp_path / "run")
    assert (result["status"], result["protocol"], result["steps"]) == ("done", "y", 1)
    scales = [2, 3, 4] if recipe == "vdsr" else [int(recipe[-1]) if recipe[-1].isdigit() else 2]
    for scale in scales:
        net, _ = load_network(tmp_path / "run" / "checkpoints" / "best.ckpt", scale)
        assert net(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)
    with pytest.raises(UserError, match="not 5"):
        load_network(tmp_path / "run" / "checkpoints" / "best.ckpt", 5)
