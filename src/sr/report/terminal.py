"""A leaderboard as text for a terminal."""

from sr.io.tables import aligned
from sr.report.board import Row
from sr.report.formats import difference, mean_sd
from sr.report.sections import Board
from sr.terms import MetricInfo


def in_terminal(board: Board) -> str:
    """What is compared, the result in one sentence, and a table with a line for each configuration and baseline."""
    score, metric = board.analysis.score, board.analysis.metric
    columns = ("rank", "configuration", "verdict", metric.heading, "gain dB", "to the best")
    lines = [columns, *(_line(row, score, metric) for row in board.rows)]
    return "\n".join([board.comparison.title, board.headline, "", *aligned(lines)]) + "\n"


def _line(row: Row, score: str, metric: MetricInfo) -> tuple[str, ...]:
    return (
        str(row.rank or ""),
        row.name,
        row.verdict,
        mean_sd(row.scores[score], metric.digits),
        difference(row.gain),
        difference(row.to_best, metric) if row.to_best else "",
    )
