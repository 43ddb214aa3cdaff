"""compose.yaml, which needs Docker to run: its parts exist, and its commands parse."""

import importlib
import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from sr.cli import make_parser

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "compose.yaml").is_file(), reason="not in this distribution")


@pytest.fixture
def services() -> dict[str, Any]:
    content: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "compose.yaml"))
    assert set(content) == {"services"}
    found: dict[str, Any] = content["services"]
    assert set(found) == {"demo", "tensorboard"}
    return found


def test_its_commands_are_installed_and_their_options_exist(services: dict[str, Any]) -> None:
    scripts = {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
    assert {service["command"][0] for service in services.values()} == {"sr", "tensorboard"} <= scripts
    options = make_parser().parse_args(services["demo"]["command"][1:])
    assert (options.host, options.port, options.runs) == ("0.0.0.0", 7860, Path("runs"))
    program = importlib.import_module("tensorboard.program")
    server = program.TensorBoard()
    server.configure(argv=services["tensorboard"]["command"])
    assert (server.flags.logdir, server.flags.host) == ("runs", "0.0.0.0")


def test_its_ports_and_folders_are_those_of_the_image(services: dict[str, Any]) -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    exposed = re.findall(r"\d+", re.findall(r"^EXPOSE (.*)$", image, re.MULTILINE)[0])
    (workdir,) = set(re.findall(r"^WORKDIR (/work)$", image, re.MULTILINE))
    ports = [port.split(":") for service in services.values() for port in service["ports"]]
    assert {inside for _, _, inside in ports} == set(exposed)
    assert {address for address, _, _ in ports} == {"127.0.0.1"}  # Docker's rules go before those of a firewall
    for service in services.values():
        assert (ROOT / service["build"] / "Dockerfile").is_file()
        assert service["volumes"] == [f"./runs:{workdir}/runs"]
