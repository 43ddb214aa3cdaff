import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sr.cli import main
from sr.errors import UserError
from sr.nets.espcn import ESPCN
from sr.weights import trust as module
from sr.weights.trust import is_allowed, network_class, trust

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, scale=1):
        super().__init__()
class Other:
    def __init__(self, scale=1): ...
def make(scale=1): return Net()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an importable package that leaves a file when it is imported."""
    folder = tmp_path / "theirs_42"
    folder.mkdir()
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    (folder / "nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "_trusted", set())
    yield "theirs_42"
    for name in [name for name in sys.modules if name.startswith("theirs_42")]:
        del sys.modules[name]


def test_a_package_that_is_not_trusted_is_refused_and_not_imported(package: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"add --trust {package}, or set SR_TRUST={package}"):
        network_class(f"{package}.nets.Net")
    assert not (tmp_path / "imported").exists()


def test_a_trusted_package_and_its_modules_are_imported(package: str, tmp_path: Path) -> None:
    trust([package])
    assert network_class(f"{package}.nets.Net").__name__ == "Net"
    assert (tmp_path / "imported").exists()


def test_trust_in_a_module_is_none_in_its_package_or_in_names_that_begin_alike(package: str) -> None:
    trust([f"{package}.nets"])
    assert is_allowed(f"{package}.nets.Net")
    assert not is_allowed(f"{package}.other.Net")
    assert not is_allowed(f"{package}.nets_too.Net")


def test_the_environment_trusts_packages(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_TRUST", f"first, {package}")
    assert is_allowed(f"{package}.nets.Net")
    monkeypatch.setenv("SR_TRUST", "")
    assert not is_allowed(f"{package}.nets.Net")


def test_announced_packages_are_trusted(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("net", f"{package}.nets:Net", "sr.networks")]
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == "sr.networks" else [])
    module.announced.cache_clear()
    assert is_allowed(f"{package}.nets.Net")
    module.announced.cache_clear()


def test_an_announced_network_trusts_no_more_than_its_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("net", "company.networks.model:Net", "sr.networks")]
    monkeypatch.setattr(module, "entry_points", lambda group: points)
    module.announced.cache_clear()
    assert is_allowed("company.networks.model.Net")
    assert not is_allowed("company.payroll.Tool")
    module.announced.cache_clear()


def test_a_fault_in_a_trusted_module_keeps_its_traceback(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "more.py").write_text("import os\nos.no_such_function_45()")
    trust([package])
    with pytest.raises(AttributeError, match="no_such_function_45"):
        network_class(f"{package}.more.Net")


def test_networks_of_sr_need_no_trust() -> None:
    assert network_class("sr.nets.espcn.ESPCN") is ESPCN
    assert not is_allowed("sr.netsome.Net")
    assert not is_allowed("os.system")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{}.nets.Other", "is not a network whose class takes a scale"),
        ("{}.nets.make", "is not a network whose class takes a scale"),
        ("{}.__main__.Net", "a program is no network: refused"),
        ("{}.nets.nn.Module", "cannot be imported: install its package, or add the folder that holds it"),
        ("{}.nets.Conv", "but {}.nets has no Conv"),
        ("{}.missing.Net", "cannot be imported: install its package, or add the folder that holds it to PYTHONPATH"),
        ("{}..nets", "is not the name of a network: refused"),
        ("Net", "is not the name of a network: refused"),
        (5, "its config names a int, which is not the name of a network: refused"),
    ],
)
def test_what_is_no_network_is_refused(package: str, target: object, message: str) -> None:
    trust([package])
    with pytest.raises(UserError, match=message.format(package)):
        network_class(target.format(package) if isinstance(target, str) else target)


def test_classes_of_others_that_a_trusted_module_imports_are_refused(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "more.py").write_text("from torch.nn import Upsample as Net")
    trust([package])
    with pytest.raises(UserError, match="is not a network whose class takes a scale"):
        network_class(f"{package}.more.Net")


def test_a_module_that_a_trusted_one_lacks_keeps_its_traceback(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "more.py").write_text("import not_installed_43")
    trust([package])
    with pytest.raises(ModuleNotFoundError, match="not_installed_43"):
        network_class(f"{package}.more.Net")


def test_a_name_that_no_package_can_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["export", "x", "-o", "y.onnx", "--trust", "my-package"])
    assert exit_info.value.code == 2
    assert "trust: 'my-package' is not the name of a package" in capsys.readouterr().err


def test_a_single_package_may_be_given_as_a_string(package: str) -> None:
    trust(package)
    assert is_allowed(f"{package}.nets.Net")
    assert module._trusted == {package}
