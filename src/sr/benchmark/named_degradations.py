"""Degradations by their names in the config group ``degrade``, those of installed packages included."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sr.data.degrade.base import Degradation
from sr.data.degrade.configured import build
from sr.errors import UserError, close_names, did_you_mean, line_of

_GROUP = "data.degrade"
_OPENING, _CLOSING = "[{(", "]})"


def named_degradations(text: str, config_dir: Path) -> dict[str, Degradation]:
    """The degradations of ``--degrade``, by what was written.

    Args:
        text: names of the config group with commas, each perhaps with options after colons, in the grammar of Hydra:
            ``blur,jpeg:quality=[20,60],noise:kinds=[gaussian]:sigma=[5,5]``.
        config_dir: ``conf/`` of sr.

    Raises:
        UserError: for an unknown name, an unknown option, a value that is refused, or the same text twice.
    """
    parts = [part.strip() for part in split(text, ",")]
    if twice := [part for part in parts if parts.count(part) > 1]:
        raise UserError(f"--degrade {twice[0]}: is named twice")
    with initialize_config_dir(str(config_dir), version_base="1.3"):
        return {part: _named(part) for part in parts}


def _named(text: str) -> Degradation:
    name, *options = split(text, ":")
    known = GlobalHydra.instance().config_loader().get_group_options("degrade")
    if name not in known:
        similar = close_names(name, known)
        hint = did_you_mean(similar) if similar else f": choose from {', '.join(known)}"
        raise UserError(f"--degrade {name}: no such degradation{hint}")
    for option in options:
        if not option.partition("=")[1]:
            raise UserError(
                f"--degrade {text}: {option!r} is no option: write {name}:OPTION=VALUE, as {name}:a=1:b=[2,3]"
            )
    try:
        config = compose("train", [f"degrade={name}", *(f"{_GROUP}.{option}" for option in options)])
        node = OmegaConf.to_container(OmegaConf.select(config, _GROUP), resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        wrong = _wrong_option(name, options) or line_of(error).replace(f"{_GROUP}.", "")
        raise UserError(f"--degrade {text}: {wrong}") from error
    try:
        return build(node, lambda target: True)  # the user's own config files name it
    except UserError as error:
        raise UserError(f"--degrade {text}: {str(error).removeprefix(f'degrade={name}: ')}") from error


def _wrong_option(name: str, options: Sequence[str]) -> str:
    """What to say of the first option that a degradation does not have; empty if it has all."""
    known = [str(key) for key in OmegaConf.select(compose("train", [f"degrade={name}"]), _GROUP)]
    known = [key for key in known if not key.startswith("_")]
    for option in options:
        wrong = option.partition("=")[0].partition(".")[0].strip()
        if wrong not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            return f"{name} has no option {wrong!r} ({has}){did_you_mean(close_names(wrong, known))}"
    return ""


def split(text: str, separator: str) -> list[str]:
    """Split a text at a character, but not inside brackets.

    >>> split("a:x=[1,2],b", ",")
    ['a:x=[1,2]', 'b']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
