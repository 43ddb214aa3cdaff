"""Names of runs and of the cells of a sweep, and the resolvers by which ``conf/`` makes folders of them."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from sr.errors import UserError

GROUPS = ("model", "loss", "optimizer")  # every cell is named by these
VARIES = "hydra.sweep.varies"  # the options that differ between the cells, for their jobs

_LONGEST_NAME, _LONGEST_VALUE = 100, 24  # characters
_MOST_BYTES = 240  # file systems allow 255
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # by Windows; the slash by all


def quoted(value: object) -> str:
    r"""A path or text in the grammar of Hydra's overrides.

    >>> print(quoted("it's"))
    'it\'s'
    """
    return "'" + str(value).replace("'", "\\'") + "'"


def cell_name(choices: Mapping[str, Any], values: Mapping[str, str], varies: Sequence[str]) -> str:
    """The folder of a cell: its model, loss and optimizer, then every other option that varies, with its value.

    The name depends on the cell and on which options vary, so that a sweep finds its cells again whatever their order.
    An option is called by the last part of its path if no other one that varies ends in it. A number follows the option
    directly, any other value after a dash; values that are long or contain special characters are shortened and get a
    hash, as do names of more than 100 characters.

    Args:
        choices: the choice of each config group.
        values: of the options of the command line and of ``hydra.sweeper.params``, in Hydra's grammar.
        varies: the options that differ between the cells.

    >>> choices = {"model": "espcn", "loss": "mse", "optimizer": "adam"}
    >>> cell_name(choices, {"model": "espcn", "optimizer.lr": "0.001", "seed": "1"}, ["model", "seed", "optimizer.lr"])
    'espcn_mse_adam_lr0.001_seed1'
    >>> cell_name(choices, {"scheduler": "step"}, ["scheduler"])
    'espcn_mse_adam_scheduler-step'
    """
    labels = _labels([key for key in varies if key not in GROUPS])
    parts = [str(choices[group]) for group in GROUPS if choices.get(group)]
    parts += [_part(label, values[key]) for label, key in sorted((label, key) for key, label in labels.items())]
    name = "_".join(parts)
    return name if len(name) <= _LONGEST_NAME else _with_hash(name[: _LONGEST_NAME - 9], name)


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """For each option as many of the last parts of its path as tell it from the others.

    >>> _labels(["seed", "optimizer.lr", "scheduler.lr", "+model.depth"])
    {'seed': 'seed', 'optimizer.lr': 'optimizer.lr', 'scheduler.lr': 'scheduler.lr', '+model.depth': 'depth'}
    """
    paths = {key: re.split(r"[./@]", key.lstrip("+~")) for key in keys}
    labels = {}
    for key, path in paths.items():
        for count in range(1, len(path) + 1):
            label = ".".join(path[-count:])
            if Counter(".".join(other[-count:]) for other in paths.values())[label] == 1:
                break
        labels[key] = label
    return labels


def _part(label: str, value: str) -> str:
    number = _number(value)
    if number is not None and not label[-1].isdigit():
        return label + number
    return f"{label}-{number or _word(value)}"


def _number(text: str) -> str | None:
    """A number without a needless ``.0``; None for other text.

    >>> _number("32.0"), _number("1e-05"), _number("-3"), _number("nan"), _number("1_0")
    ('32', '1e-05', '-3', None, None)
    """
    if not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text, re.IGNORECASE | re.ASCII):
        return None
    try:
        return text if text.lstrip("-").isdigit() else repr(float(text)).removesuffix(".0")
    except ValueError:  # 1.2.3
        return None


def _word(text: str) -> str:
    """A value as part of a folder's name.

    >>> _word("True"), _word("[2,3]"), _word("'relu'"), _word("/data/set5")
    ('true', '2-3', 'relu', 'data-set5-4208806c')
    """
    if text in ("True", "False"):
        return text.lower()
    bare = text.strip("'\"[]").replace(",", "-")
    if re.fullmatch(r"[\w+-](?:[\w.+-]*[\w+-])?", bare, re.ASCII) and len(bare) <= _LONGEST_VALUE:
        return bare
    safe = re.sub(r"[^\w+-]+", "-", bare, flags=re.ASCII).strip("-")
    return _with_hash(safe[-(_LONGEST_VALUE - 9) :].strip("-"), text)


def _with_hash(start: str, text: str) -> str:
    return f"{start}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")


def check_name(name: object) -> None:
    """Check the option ``name``, which is part of a path.

    Raises:
        UserError: for what cannot be the name of a folder on every system.
    """
    text = str(name)
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        reason = "a name is a word"
    elif _FORBIDDEN.search(text):
        reason = 'a name has no / \\ < > : " | ? * and no line breaks'
    elif not text.strip():
        reason = "a name needs a character"
    elif text.startswith(".") or text.endswith(".") or text != text.strip():
        reason = "a name neither starts nor ends with a dot or a space"
    elif len(text) > _LONGEST_NAME or len(text.encode()) > _MOST_BYTES:
        reason = f"a name has at most {_LONGEST_NAME} characters ({_MOST_BYTES} bytes)"
    else:
        return
    raise UserError(f"name={text[:_LONGEST_NAME]!r}: {reason}")


def _name_of_this_job() -> str:
    """The folder of the job that runs, for ``hydra.sweep.subdir``.

    Where it is not known what varies (a sweeper other than Hydra's own), the number of the job tells the cells apart.
    """
    hydra = HydraConfig.get()
    varies = OmegaConf.select(HydraConfig.instance().cfg, VARIES)  # type: ignore[arg-type]
    values = dict(override.partition("=")[::2] for override in hydra.overrides.task)
    name = cell_name(hydra.runtime.choices, values, varies or [])
    return f"{name}_{hydra.job.num}" if varies is None and hydra.mode == RunMode.MULTIRUN else name


# In conf/: ``${cell_name:}``, and ``${or:${name},grid}``: the name, or grid where there is none.
OmegaConf.register_new_resolver("cell_name", _name_of_this_job, replace=True)
OmegaConf.register_new_resolver("or", lambda first, second: second if first is None else first, replace=True)
