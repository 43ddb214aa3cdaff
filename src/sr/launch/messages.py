"""What the workers of a parallel sweep have to say: a file that `sr.launch.watch` reads and shows."""

import logging
import os
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from sr.machine.processes import in_worker

FOLDER_FILE = "SR_FOLDER_FILE"  # environment variable: the file in which a training says where its run folder is

_FILE = ".messages"  # in the folder of a sweep, while it is watched


def say_folder(folder: str) -> None:
    """Tell the process that started this training where its run folder is, if it asked."""
    if path := os.environ.get(FOLDER_FILE):
        Path(path).write_text(folder, encoding="utf-8")


def messages_file(sweep_folder: Path) -> Path:
    """The file, which is there as long as the sweep is watched."""
    return sweep_folder / _FILE


def watched_by() -> Path | None:
    """The file that the messages of this process go to; None if it may write to the console itself."""
    if not in_worker() or not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    path = messages_file(Path(hydra.runtime.cwd, hydra.sweep.dir))
    return path if path.is_file() else None


def pass_on(record: logging.LogRecord, path: Path) -> None:
    """Append a warning or an error in one line, unless the state of its cell says the same."""
    if record.levelno < logging.WARNING or getattr(record, "in_state", False):
        return
    folder = Path(HydraConfig.get().runtime.output_dir)
    text = record.getMessage().strip().partition("\n")[0]
    if record.exc_info and record.exc_info[1]:
        error = record.exc_info[1]
        text += f" ({type(error).__name__}: {error}), see {folder / f'{HydraConfig.get().job.name}.log'}"
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{folder.name}: {' '.join(text.split())}\n")
