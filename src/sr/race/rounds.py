"""The rounds of a race: look at the verdicts, say what comes next, train it."""

import statistics
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sr.errors import UserError
from sr.io.locks import hold
from sr.race.budget import Budget, Ledger, Unit
from sr.race.jobs import Job, next_jobs
from sr.race.launch import train
from sr.race.policy import Round, next_round
from sr.report.analysis import Analysis, analyse
from sr.report.comparison import find_comparisons
from sr.report.conclusions import headline, needed
from sr.report.page import write_report
from sr.report.run import Configuration
from sr.runs.schema import read_result

_LOCK = ".decide.lock"  # in the folder of the race


@dataclass(frozen=True)
class _Step:
    """One more training of a configuration: its jobs, and what they are estimated to cost."""

    name: str
    key: str
    jobs: Sequence[Job]
    cost: float


class Race:
    """A race between the configurations below a folder; it keeps no state but the run folders and what it has spent."""

    def __init__(self, folder: Path, budget: Budget, most: int, options: Sequence[str]) -> None:
        """Take what `sr decide` was given: the budget, most trainings of a configuration, and options of Hydra."""
        self._folder, self._budget, self._most, self._options = folder, budget, most, options
        self._failed: set[str] = set()  # configurations, by the first folder of theirs

    def run(self, *, dry_run: bool) -> bool:
        """Train until all is decided, the budget is spent, or no training would help.

        Returns:
            Whether all is decided.

        Raises:
            UserError: if another process works in the folder, or it does not hold one comparison of at least two
                configurations.
        """
        analysis = self._analysis(first=True)
        with hold(self._folder / _LOCK, wait=1) as is_free:
            if not is_free:
                raise UserError(f"{self._folder}: another sr decide works here: wait for it")
            return self._rounds(analysis, dry_run=dry_run)

    def _rounds(self, analysis: Analysis, *, dry_run: bool) -> bool:
        ledger = Ledger(self._folder)
        while True:
            following = self._next(analysis)
            _say(_standing(analysis, following))
            steps, is_short = self._affordable(analysis, following, ledger)
            self._announce(following, steps, ledger)
            if dry_run or not steps:
                break
            jobs = [job for step in steps for job in step.jobs]
            ledger.add([job.training for job in jobs])
            done = {job.training for job in jobs if (result := read_result(job.training)) and result.is_done}
            code = train(jobs, self._folder, self._options)
            self._note_failures(steps, code, done)
            analysis = self._analysis()
        if following.trained and not steps and is_short:
            unit = self._budget.unit
            _say(f"{unit.text(self._budget.amount)} will not pay for the next training: a larger --budget continues")
        if not dry_run:
            report = write_report([self._folder])
            headlines = "".join(f"{section.headline}\n" for section in report.sections)
            _say(headlines + "\n".join(map(str, report.files)))
        return following.is_decided

    def _analysis(self, *, first: bool = False) -> Analysis:
        found = find_comparisons([self._folder])
        if len(found.comparisons) > 1:
            raise UserError(
                f"{self._folder}: holds {len(found.comparisons)} comparisons, on different images or under different "
                "protocols: name a folder that holds one of them"
            )
        if not found.comparisons:
            raise UserError(f"{self._folder}: holds no finished run: there is nothing to decide")
        (comparison,) = found.comparisons
        if len(comparison.configurations) < 2:
            raise UserError(f"{self._folder}: holds one finished configuration: there is nothing to decide")
        analysis = analyse(comparison)
        if analysis.parts[analysis.score].within_df < 1:
            raise UserError(f"{self._folder}: {headline(analysis)}")
        if first:
            for line in (*found.problems, *found.repeats):
                sys.stderr.write(f"{line}\n")
            if left := [cell.name for cell in found.unfinished if cell.trainings[0] == 0]:
                sys.stderr.write(f"not done, and so not in the race: {', '.join(left)}\n")
        return analysis

    def _next(self, analysis: Analysis) -> Round:
        configurations = analysis.configurations
        costs = [_mean_cost(configuration, self._budget.unit) for configuration in configurations]
        left_out = [number for number, one in enumerate(configurations) if _key(one) in self._failed]
        parts, undecidable = analysis.parts[analysis.score], analysis.undecidable
        return next_round(parts, costs, analysis.rope, most=self._most, left_out=left_out, undecidable=undecidable)

    def _affordable(self, analysis: Analysis, following: Round, ledger: Ledger) -> tuple[list[_Step], bool]:
        """The trainings of a round that the rest of the budget is estimated to pay for, and whether others are left."""
        unit, rest = self._budget.unit, self._budget.amount - ledger.spent(self._budget.unit)
        steps, is_short = [], False
        for number in following.trained:
            configuration = analysis.configurations[number]
            jobs = next_jobs(configuration.runs[0].folders, [run.seed for run in configuration.runs])
            begun = sum(ledger.spent_on(job.training, unit) for job in jobs)
            cost = max(0.0, _mean_cost(configuration, unit) - begun)
            if cost <= rest and (rest > 0 or begun):
                steps.append(_Step(configuration.name, _key(configuration), jobs, cost))
                rest -= cost
            else:
                is_short = True
        return steps, is_short

    def _announce(self, following: Round, steps: Sequence[_Step], ledger: Ledger) -> None:
        unit = self._budget.unit
        if steps:
            cost = unit.text(sum(step.cost for step in steps))
            _say(f"next: one more seed of {'; '.join(step.name for step in steps)} (about {cost})")
        if self._budget.amount < float("inf"):
            _say(f"budget: {unit.text(self._budget.amount)}, of which {unit.text(ledger.spent(unit))} spent")

    def _note_failures(self, steps: Sequence[_Step], code: int, done: Collection[Path]) -> None:
        """Leave out the configurations whose training has not come to its end, so that the others go on.

        A training that was done before is one of other options.
        """
        for step in steps:
            for job in step.jobs:
                result = read_result(job.training)
                if job.training in done:
                    reason = "holds a training with other options: move it away"
                elif result and result.is_done:
                    continue
                else:
                    reason = (result.reason if result else "") or f"the command ended with exit code {code}"
                self._failed.add(step.key)
                sys.stderr.write(f"error: {job.training}: {reason}: {step.name} gets no more trainings in this start\n")


def _key(configuration: Configuration) -> str:
    return str(configuration.runs[0].folders[0])


def _mean_cost(configuration: Configuration, unit: Unit) -> float:
    """Of one seed; where folds were trained as runs of their own, the sum over them."""
    of_seeds = [[read_result(folder) for folder in run.folders] for run in configuration.runs]
    return statistics.fmean(sum(unit.cost(result) for result in results if result) for results in of_seeds)


def _standing(analysis: Analysis, following: Round) -> str:
    """Who may be the best, who is left alone, and what no training would settle."""
    names, count = analysis.names, len(analysis.configurations)
    bests = [names[number] for number in analysis.order if number in following.bests]
    lines = [f"{len(bests)} of {count} configurations may be the best: {'; '.join(bests)}"]
    if resting := [names[n] for n in analysis.order if n not in following.bests and n not in following.trained]:
        lines.append(f"worse, and left alone: {'; '.join(resting)}")
    if few := [names[n] for n in analysis.order if n in analysis.undecidable and n not in following.trained]:
        lines.append(f"too few trainings for a verdict, and no more can be had: {'; '.join(few)}")
    parts = analysis.parts[analysis.score]
    for a, b in following.given_up:
        reason = needed(parts, a, b, analysis.rope, claims=len(analysis.pairs) // 2)
        lines.append(f"not trained for: {names[a]} and {names[b]}: {reason}")
    if following.is_decided:
        lines.append("all is decided" if len(bests) == 1 else "all is decided: these are equivalent")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
