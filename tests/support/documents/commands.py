"""What ``sr`` and ``python`` do in the shell of the documentation: the rule for each command."""

import atexit
import gc
import os
import re
import runpy
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import NoReturn

from joblib.externals.loky import get_reusable_executor

from tests.support.documents import budgets

MODE = "SR_DOCUMENTS_MODE"  # environment variable: run or compose

# Exit codes that say what a command found rather than that it failed.
_FINDINGS = {"decide": {1}, "selftest": {1}}
_DEMO_LIMIT = 60.0  # seconds until it answers
_BUDGET_OF_DECIDE = "1"  # training


def preload() -> None:
    """Import what commands need, so that a fork has it at once."""
    import lightning  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import scipy.stats  # noqa: F401
    import skimage.metrics  # noqa: F401
    import torchmetrics  # noqa: F401

    import sr.cli
    import sr.datamodule
    import sr.lit_module
    import sr.runs.fit
    import sr.train  # noqa: F401

    gc.freeze()  # collections in a fork leave these modules alone


def run(program: str, words: list[str]) -> NoReturn:
    """Run a command by its rule in this process, and exit with its code; what it started ends with it."""
    code = 1
    try:
        code = _PROGRAMS[program](words)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # releasing the modules that a fork shares takes longer than most commands


def _sr(words: list[str]) -> int:
    command = words[0] if words else ""
    if command == "train":
        return _train(words[1:])
    if command == "demo":
        return _demo(words)
    if command == "decide" and "--budget" in words:
        words[words.index("--budget") + 1] = _BUDGET_OF_DECIDE
    _measure_briefly()
    from sr.cli import main

    try:
        main(words)
    except SystemExit as error:
        if error.code not in _FINDINGS.get(command, ()):
            raise
    return 0


def _python(words: list[str]) -> int:
    if words[:1] == ["-c"]:
        exec(compile(words[1], "<command>", "exec"), {"__name__": "__main__"})
        return 0
    if words[:2] == ["-m", "sr.train"]:
        return _train(words[2:])
    if words[:1] == ["-m"] and words[1].startswith("scripts."):
        return _script(words[1], words[2:])
    sys.stderr.write(f"no rule for: python {' '.join(words)}\n")
    return 1


_PROGRAMS: dict[str, Callable[[list[str]], int]] = {"sr": _sr, "python": _python}


def _train(words: list[str]) -> int:
    if os.environ[MODE] == "compose":
        return _compose(words)
    from sr import train

    _measure_briefly()
    sys.argv = [str(train.__file__), *budgets.with_budget(words)]
    try:
        train.main()
    finally:
        if "hydra/launcher=joblib" in words:
            get_reusable_executor().shutdown(wait=True)  # its workers would stay for minutes
    return 0


def _compose(words: list[str]) -> int:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from sr.train import config_dir

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        for overrides in budgets.single_runs(words):
            config = compose("train", [*overrides, "run_dir=run"], return_hydra_config=True)
            assert OmegaConf.to_container(config.model, resolve=True)
    return 0


def _script(module: str, words: list[str]) -> int:
    """Scripts measure for minutes to hours: their help has to name the options that are used."""
    printed = StringIO()
    sys.argv = [module, "--help"]
    with redirect_stdout(printed):
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as error:
            if error.code:
                raise
    unknown = {word for word in words if word.startswith("--")} - set(re.findall(r"--[\w-]+", printed.getvalue()))
    if unknown:
        sys.stderr.write(f"{module} has no options {unknown}\n")
    return len(unknown)


def _demo(words: list[str]) -> int:
    """Serve the page on a free port until it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    main = "import sys; from sr.cli import main; main(sys.argv[1:])"
    server = subprocess.Popen([sys.executable, "-c", main, *words, "--port", str(port)])
    deadline = time.monotonic() + _DEMO_LIMIT
    try:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as page:
                    return int(page.status != 200)
            except OSError:
                time.sleep(0.2)
        return 1
    finally:
        server.terminate()
        server.wait()


def _measure_briefly() -> None:
    """Time networks by a few repeats, as `tests.conftest` does."""
    from sr.machine import speed

    speed.LEAST_REPEATS, speed._LEAST_SECONDS, speed._BATCH_SECONDS = 3, 0.0, 0.0
