"""The JSON schema of configs, checked by an independent implementation of the standard."""

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from sr.cli import main
from sr.options.annotations import Matching, Range
from sr.options.groups import Groups, find_groups, read_choice
from sr.options.json_types import json_type
from sr.options.schema import config_schema
from sr.train import config_dir

jsonschema = pytest.importorskip("jsonschema")

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin" / "src"
FILES = [
    config_dir() / "train.yaml",
    *(path for group in ("experiment", "debug", "local") for path in sorted((config_dir() / group).glob("*.yaml"))),
]

REFUSED = {
    "model: {chanels: 3}": "model",
    "model: {channels: wide}": "model.channels",
    "trainer: {max_epoch: 3}": "trainer",
    "trainer: {max_epochs: 0}": "trainer.max_epochs",
    "trainer: {callbacks: []}": "trainer",  # passed by sr itself
    "optimizer: {lr: abc}": "optimizer.lr",
    "lr: 3": "",
    "seeds: 1": "seeds",
    "mode: up": "mode",
    "scale: true": "scale",
    "defaults: [{override /model: edsrr}]": "defaults[0]",
    "defaults: [{override /models: edsr}]": "defaults[0]",
    "defaults: [edsr_x5]": "defaults[0]",
    "data: {fold: any}": "data.fold",
    "data: {augment: {flips: true}}": "data.augment",
    "data: {find: {scale: 2}}": "data.find",  # passed by sr itself
    "callbacks: {checkpoints: {minute: 3}}": "callbacks.checkpoints",
    "callbacks: {mine: {minutes: 3}}": "callbacks.mine",  # no _target_
    "logger: {tensorboard: {flush_sec: 3}}": "logger.tensorboard",
    "loss: {weights: {mse: much}}": "loss.weights",
    "hydra: {swep: {}}": "hydra",
    # Of another choice than that of this file, or of the experiment that it is based on.
    "defaults: [{override /model: espcn}]\nmodel: {mapping_channels: 3}": "model",
    "defaults: [espcn_x2]\nmodel: {mapping_channels: 3}": "model",
    "defaults: [{override /degrade: jpeg}]\ndata: {degrade: {sigma: [1, 2]}}": "data.degrade",
    "defaults: [{override /hydra/sweeper: optuna}]\nhydra: {sweeper: {n_trial: 3}}": "hydra.sweeper",
}

ACCEPTED = [
    "name: 3",
    "scale: ${oc.env:SCALE}",
    "data: {root: [photos, 2024], fold: all, degrade: {quality: [50, 90]}}",
    "defaults: [{override /model: fsrcnn}]\nmodel: {mapping_channels: 3}",
    "defaults: [espcn, {override /model: fsrcnn}, _self_]\nmodel: {mapping_channels: 3}",
    "defaults: [{override /logger: [csv, mlflow]}, {override /callbacks: ema}, {override /experiment: null}]",
    "defaults: [{loss@loss.terms.mse: mse}]",
    "model: {_target_: mine.Net, depth: 3}",
    "metrics: {mine: {_target_: mine.Metric}}",
    "callbacks: {samples: null}",
    "logger: {tensorboard: {flush_secs: 3}}",  # of the class that it forwards to
    "trainer: {devices: '0,1', precision: auto, accumulate_grad_batches: 2}",
    "defaults: [{override /hydra/sweeper: optuna}]\nhydra: {sweeper: {n_trials: 3, params: {seed: 'choice(1,2)'}}}",
]


@pytest.fixture(scope="module")
def schema() -> Any:
    found, problems = config_schema(find_groups(config_dir()))
    assert all(target.startswith("sr.") for target in problems)
    return json.loads(json.dumps(found))


@pytest.fixture(scope="module")
def validator(schema: Any) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def places(validator: Any, config: Any) -> Iterator[str]:
    """Where a config is refused."""
    for error in validator.iter_errors(OmegaConf.to_container(config, resolve=False)):
        yield error.json_path.removeprefix("$").removeprefix(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_config_of_sr_fits(validator: Any, path: Path) -> None:
    assert list(places(validator, OmegaConf.load(path))) == []


@pytest.mark.parametrize(("text", "place"), REFUSED.items())
def test_a_wrong_name_or_value_is_refused_where_it_is(validator: Any, text: str, place: str) -> None:
    assert set(places(validator, OmegaConf.create(text))) == {place}


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_a_run_accepts_fits(validator: Any, text: str) -> None:
    assert list(places(validator, OmegaConf.create(text))) == []


def test_options_have_a_type_a_default_a_description_and_bounds(schema: Any) -> None:
    espcn = schema["$defs"]["model.espcn"]["then"]
    assert espcn["description"] == "Efficient sub-pixel convolutional network, arXiv:1609.05158."
    assert espcn["properties"]["channels"] == {
        "anyOf": [{"type": "integer"}, {"$ref": "#/$defs/interpolation"}],
        "description": "width of the first hidden convolution.",
        "default": 64,
    }
    assert espcn["additionalProperties"] is False
    seed = schema["properties"]["seed"]
    assert seed["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
    assert seed["default"] == 23
    assert "that of the split" in seed["description"]  # the comment of train.yaml
    assert schema["$defs"]["model.espcn_origin"]["then"]["properties"]["head"]["default"] == "sigmoid"


@pytest.mark.skipif(not PLUGIN.is_dir(), reason="not in this distribution")
def test_a_network_of_an_installed_plugin_appears(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints([EntryPoint("recursive", "sr_example.network:Recursive", "sr.networks")])
    monkeypatch.syspath_prepend(PLUGIN)
    (plugin,) = (kind for kind in Plugins.instance().discover(SearchPathPlugin) if kind.__name__ == "AnnouncedPackages")
    method: Any = vars(plugin)["manipulate_search_path"]
    module = method.__globals__  # Hydra loads plugins itself, outside sys.modules
    monkeypatch.setitem(module, "entry_points", lambda group: points)
    found, _ = config_schema(find_groups(config_dir()))
    validator = jsonschema.Draft202012Validator(found)
    config = OmegaConf.load(PLUGIN / "sr_example" / "conf" / "experiment" / "recursive_x2.yaml")
    assert list(places(validator, config)) == []
    config.model = {"chanels": 3}
    assert list(places(validator, config)) == ["model"]
    assert found["$defs"]["data.listed"]["then"]["properties"]["root"]


def test_a_choice_of_a_folder_of_the_user_appears_and_one_that_cannot_be_imported_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: nowhere.Mine\n")
    output = tmp_path / "sr.schema.json"
    main(["schema", "--config-dir", str(tmp_path / "conf"), "-o", str(output)])
    captured = capsys.readouterr()
    assert captured.out == f"{output}: written\n"
    line = "nowhere.Mine: cannot be imported, its options are not checked: No module named 'nowhere'\n"
    assert line in captured.err
    text = "defaults: [{override /model: mine}]\nmodel: {depth: 3}"
    validator = jsonschema.Draft202012Validator(json.loads(output.read_text()))
    assert list(places(validator, OmegaConf.create(text))) == []


@pytest.mark.parametrize("arguments", [["--config-dir", "nowhere"], ["-o", "nowhere/sr.schema.json"]])
def test_a_folder_that_does_not_exist_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sr.options.schema.config_schema", lambda groups: ({}, {}))
    with pytest.raises(SystemExit) as exit_info:
        main(["schema", *arguments])
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert "nowhere" in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (bool, {"type": "boolean"}),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (Annotated[float, Range(0, 1, open_start=True)], {"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        (Annotated[str, Matching("a|b", "a or b")], {"type": "string", "pattern": "^(?:a|b)$"}),
        (Literal["auto", -1], {"enum": ["auto", -1]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Path, {"type": "string"}),
        (int | Any, {}),
    ],
)
def test_an_annotation_becomes_its_schema(annotation: Any, expected: dict[str, Any]) -> None:
    assert json_type(annotation) == expected


def test_a_choice_has_what_it_is_based_on(tmp_path: Path) -> None:
    group = tmp_path / "loss"
    group.mkdir()
    (group / "part.yaml").write_text("_target_: a.B\nsize: 1  # pixels\n")
    (group / "sum.yaml").write_text(
        "# A sum.\n# @package parts.loss\ndefaults: [part@terms.first, override /model: edsr]\nweights: {first: 2}\n"
    )
    choice = read_choice([tmp_path], "loss", "sum")
    assert choice is not None
    assert choice.values == {"terms": {"first": {"_target_": "a.B", "size": 1}}, "weights": {"first": 2}}
    assert choice.package == "parts.loss"
    assert choice.notes == {"terms.first.size": "pixels"}
    assert choice.overrides == {"model": "edsr"}
    assert Groups([tmp_path], {"loss": ["part", "elsewhere"]}).choices("loss").keys() == {"part"}
