"""A leaderboard as text for a terminal."""

from sr.io.tables import aligned
from sr.report.board import Row
from sr.report.formats import DIGITS, difference, mean_sd
from sr.report.sections import Board

_COLUMNS = {"psnr": "PSNR dB", "ssim": "SSIM"}


def in_terminal(board: Board) -> str:
    """What is compared, the result in one sentence, and a table with a line for each configuration and baseline."""
    score = board.analysis.score
    columns = ("rank", "configuration", "verdict", _COLUMNS[score], "gain dB", "to the best")
    lines = [columns, *(_line(row, score) for row in board.rows)]
    return "\n".join([board.comparison.title, board.headline, "", *aligned(lines)]) + "\n"


def _line(row: Row, score: str) -> tuple[str, ...]:
    return (
        str(row.rank or ""),
        row.name,
        row.verdict,
        mean_sd(getattr(row, score), DIGITS[score]),
        difference(row.gain),
        difference(row.to_best, score) if row.to_best else "",
    )
