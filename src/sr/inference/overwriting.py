"""What keeps outputs from overwriting inputs, each other, and existing files."""

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from sr.errors import UserError
from sr.inference.inputs import Job


class OverwriteGuard:
    """Prevents outputs from overwriting inputs, each other, or, unless forced, existing files."""

    def __init__(self, *, force: bool) -> None:
        """Protect nothing yet; with ``force``, existing files may be overwritten."""
        self._force = force
        self._sources: set[Path] = set()  # resolved
        self._owners: dict[Path, str] = {}  # the input that each output was written for

    def protect(self, sources: Iterable[Path]) -> None:
        """Let nothing overwrite these inputs."""
        self._sources |= {source.resolve() for source in sources}

    def claim(
        self, job: Job, targets: Sequence[Path], reasons: Mapping[Path, str], replaceable: Set[Path] = frozenset()
    ) -> None:
        """Reserve the outputs of a job.

        Args:
            job: what they are made of.
            targets: the outputs.
            reasons: why those that exist do not count as done, if that was asked.
            replaceable: those that may be overwritten without ``--force``.

        Raises:
            UserError: if one of them must not be written.
        """
        for target in targets:
            if self._owners.get(target, job.name) != job.name:
                raise UserError(f"{job.name}: would overwrite the output of {self._owners[target]}: use another folder")
            if target.resolve() in self._sources:
                raise UserError(f"{job.name}: would overwrite the input {target}: use another folder")
            if target.exists() and not self._force and target not in replaceable:
                why = f", but {reasons[target]}" if target in reasons else ""
                raise UserError(f"{target}: exists{why}: add --force to overwrite it")
        self._owners |= dict.fromkeys(targets, job.name)
