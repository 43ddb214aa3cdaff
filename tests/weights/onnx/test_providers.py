import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from sr.cli import main
from sr.errors import UserError
from sr.weights.find import find_model
from sr.weights.onnx.providers import checked_provider
from tests.support.images import photograph

pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
from tests.support.onnx_networks import enlargement, limited, write

INSTALLED = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "QNNExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write(tmp_path / "net.onnx", [*enlargement("in", "a", 2), *limited("a", "out", 1.0)])


@pytest.mark.parametrize(
    ("name", "provider"), [("cuda", "CUDA"), ("CPU", "CPU"), ("tensorrt", "Tensorrt"), ("qnn", "QNN")]
)
def test_providers_are_found_by_their_short_names_in_any_case(name: str, provider: str) -> None:
    assert checked_provider(name, INSTALLED) == f"{provider}ExecutionProvider"


def test_a_provider_that_is_not_there_is_one_line_with_those_that_are() -> None:
    with pytest.raises(
        UserError, match=r"^--provider directml: this onnxruntime has cpu only: install onnxruntime-dir"
    ):
        checked_provider("directml", INSTALLED[-1:])
    with pytest.raises(UserError, match=r"^--provider x: this onnxruntime has tensorrt, cuda, QNN, cpu only$"):
        checked_provider("x", INSTALLED)


def test_predict_refuses_a_missing_provider_and_one_for_pytorch(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph(20, 30).save(tmp_path / "a.png")
    for model, message in ((network, "this onnxruntime has"), ("espcn_x2", "is for ONNX files; PyTorch runs espcn_x2")):
        with pytest.raises(SystemExit) as exit_info:
            main(
                [
                    "predict",
                    str(tmp_path / "a.png"),
                    "-m",
                    str(model),
                    "-o",
                    str(tmp_path / "b.png"),
                    "--provider",
                    "rocm",
                ]
            )
        assert exit_info.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


def test_a_provider_that_cannot_start_is_refused_rather_than_replaced(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime itself falls back to the CPU with a warning."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: INSTALLED)
    with pytest.raises(UserError, match="--provider cuda: onnxruntime cannot start it here"):
        find_model(str(network), provider="cuda")


def test_openvino_that_is_not_installed_is_one_line(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"needs the package openvino: pip install 'sr-compare\[onnx,openvino\]'"):
        find_model(str(network), provider="openvino")


_COMPARED = """
import sys
import numpy as np
import torch
from PIL import Image
from sr.inference.enlarger import Enlarger
from sr.weights.find import find_model
pixels = np.asarray(Image.open(sys.argv[2]))
outs = [Enlarger(find_model(sys.argv[1], provider=name))(pixels) for name in ("openvino", "cpu")]
assert np.abs(outs[0].astype(int) - outs[1]).max() <= 1
net = find_model(sys.argv[1], provider="openvino").nets[0]
lr = torch.rand(1, 3, 17, 23)
torch.testing.assert_close(net(lr), lr.repeat_interleave(2, 2).repeat_interleave(2, 3), rtol=0, atol=1e-3)
"""


def test_openvino_gives_the_output_of_onnx_runtime(network: Path, tmp_path: Path) -> None:
    """In a process of its own: once openvino is imported, the captured output of later tests gets closed."""
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("needs sr-compare[openvino]")
    photograph(45, 61).save(tmp_path / "a.png")
    command = [sys.executable, "-c", _COMPARED, str(network), str(tmp_path / "a.png")]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert completed.returncode == 0, completed.stderr
