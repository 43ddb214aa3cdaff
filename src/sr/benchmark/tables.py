"""The scores of `sr evaluate` as tables: text, CSV, JSON, and files in run folders for the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from sr.benchmark.records import record_of
from sr.benchmark.rows import Row, folder_name
from sr.errors import UserError
from sr.io.atomic import reporting_unwritable, write_text
from sr.io.run_folder import RunFolder
from sr.io.tables import aligned, write_table
from sr.terms import BASELINES, loses_to

if TYPE_CHECKING:
    from pandas import DataFrame

Record: TypeAlias = dict[str, Any]  # the scores of a model on a data set, as a file of `evaluations/` has them


def write_rows(rows: Sequence[Row], csv: Path | None, json_file: Path | None, record: Path | None = None) -> list[Path]:
    """Write the table as CSV and JSON where asked for, and into run folders for their report.

    ``NAME_images.csv`` next to ``NAME.csv`` has one row per image. A run folder gets a file in ``evaluations/``; what
    is no run gets it in a folder of its own in ``record``. Metrics and baselines that the file of a run already has, of
    the same images and weights, stay there.

    Returns:
        The files.

    Raises:
        UserError: if one cannot be written.
    """
    written: list[Path] = []
    with reporting_unwritable(csv or json_file or Path()):
        for path in filter(None, (csv, json_file)):
            path.parent.mkdir(parents=True, exist_ok=True)
        if csv:
            images = csv.with_name(f"{csv.stem}_images.csv")
            write_table(csv, [row.as_dict() for row in rows])
            write_table(images, [image for row in rows for image in _image_rows(row)])
            written += [csv, images]
        if json_file:
            _write_json(json_file, [{**row.as_dict(), "per_image": _image_rows(row)} for row in rows])
            written.append(json_file)
        for row in rows:
            run = RunFolder(row.model.run) if row.model.run else None
            if record and run is None and not row.baseline:
                run = record_of(record, row.model, row.outputs)
            if run:
                folder = run.evaluations
                folder.mkdir(parents=True, exist_ok=True)
                more = ("_x8" if row.ensemble else "") + ("_bfloat16" if row.in_bfloat16 else "")
                more += f"_{row.bits}bits" if row.bits != 8 else ""
                path = _evaluation_file(folder, row, more)
                _write_json(path, [_with_earlier(_for_report(row, rows), _recorded(path))])
                written.append(path)
    return written


def _evaluation_file(folder: Path, row: Row, more: str) -> Path:
    """Where the scores on a data set go; another set of the same name keeps its own."""
    end = f"_x{row.scale}_{row.protocol}{more}.json"
    path = folder / f"{folder_name(row.data)}{end}"
    known = _recorded(path).get("fingerprint")
    is_other = known and known != row.fingerprint
    return folder / f"{folder_name(row.data)}_{row.fingerprint[:8]}{end}" if is_other else path


def _recorded(path: Path) -> Record:
    """What a file of scores holds; empty if there is none, and if it is damaged: it is written anew."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))[0]) if path.is_file() else {}
    except (ValueError, LookupError, TypeError):
        return {}


def _with_earlier(record: Record, earlier: Record) -> Record:
    """The record of a run, with what only an earlier one of the same images and weights has: metrics and baselines.

    Finished pictures may be others by now under the same names: theirs have no hash.
    """
    same = ("fingerprint", "weights", "settings", "shrink", "names")
    is_same = bool(record["weights"]) and all(earlier.get(name) == record[name] for name in same)
    if not is_same or earlier.get("trainings", {}).keys() != record["trainings"].keys():
        return record

    def both(part: str) -> Record:
        kept = earlier.get(part, {})
        return {who: kept.get(who, {}) | record[part].get(who, {}) for who in {**kept, **record[part]}}

    parts = {part: both(part) for part in ("metrics", "trainings", "baselines")}
    return {**{name: earlier[name] for name in parts["metrics"] if name in earlier}, **record, **parts}


def _for_report(row: Row, rows: Sequence[Row]) -> Record:
    """What a report needs of a row: the scores of every image by every training, and by the baselines beside it."""
    baselines = {other.baseline.prefix: other for other in rows if other.baseline and other.data == row.data}
    return {
        **row.as_dict(),
        "settings": row.settings.strip(),
        "weights": row.model.weights_hash if row.model.run else "",
        "shrink": row.model.shrink if row.scale == 1 else None,
        "fingerprint": row.fingerprint,
        **{"data_set": row.data_set, "degradation": row.degradation},
        **{"degraded_by": row.degraded_by, "trained_on": row.trained_on},
        "metrics": {name: asdict(info) for name, info in row.metrics.items()},
        "names": [image.name for image in row.images],
        "groups": list(row.groups),
        "contents": list(row.contents),
        "trainings": {name: _by_score(row, number) for number, name in enumerate(row.model.trainings or ["."])},
        "baselines": {prefix: _by_score(baseline, 0) for prefix, baseline in baselines.items()},
    }


def _by_score(row: Row, network: int) -> dict[str, list[float]]:
    """The scores of all images by one network of a row."""
    scores = [networks[network] for networks in row.by_network]
    by_name = {name: [score.score(name) for score in scores] for name in row.metrics}
    return {name: [v for v in values if v is not None] for name, values in by_name.items() if None not in values}


def _image_rows(row: Row) -> list[dict[str, str | float | None]]:
    about = {name: value for name, value in row.as_dict().items() if name in ("model", "data", "scale", "protocol")}
    groups = row.groups or [image.name for image in row.images]
    return [
        {
            **about,
            "name": image.name,
            "group": group,
            **{metric: image.score(metric) for metric in row.metrics},
            "ms": image.milliseconds,
        }
        for image, group in zip(row.images, groups, strict=True)
    ]


def _write_json(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_text(path, json.dumps(list(rows), indent=2) + "\n")


@dataclass(frozen=True)
class ScoreTable(Sequence[Row]):
    """The scores of models on folders of images; ``print`` shows them as a table.

    Attributes:
        rows: a row for each model on each folder, the baselines included.
    """

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """A row, or several."""
        return self.rows[index]

    def __str__(self) -> str:
        """The table as text."""
        return render(self.rows)

    __repr__ = __str__  # what a notebook shows

    def to_pandas(self) -> "DataFrame":
        """The table as a DataFrame, a line for each row.

        Raises:
            UserError: if pandas is not installed.
        """
        return _frame([row.as_dict() for row in self.rows])

    def images_to_pandas(self) -> "DataFrame":
        """The scores of each image as a DataFrame, a line for each image of each row.

        Raises:
            UserError: if pandas is not installed.
        """
        return _frame([image for row in self.rows for image in _image_rows(row)])


def _frame(rows: Sequence[Mapping[str, object]]) -> "DataFrame":
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise UserError("a DataFrame needs the package pandas: pip install pandas") from error
    return DataFrame(rows)


def render(rows: Sequence[Row]) -> str:
    """The rows as a text table; models that lose to a baseline are marked."""
    metrics = {name: info for row in rows for name, info in row.metrics.items()}
    headings = (info.heading for info in metrics.values())
    lines = [("model", "data", "scale", "protocol", *headings, "gain dB", "images", "ms/image", "")]
    for row in rows:
        same_data = [other for other in rows if other.data == row.data]
        gain = row.psnr - next(other for other in same_data if other.is_reference).psnr
        baselines = {other.baseline.prefix: other.psnr for other in same_data if other.baseline}
        lost_to = "" if row.baseline else loses_to(row.psnr, baselines, BASELINES[0].name_at(row.scale))
        time = "" if row.milliseconds is None else f"{row.milliseconds:.1f}"
        means = [(info, row.mean(name)) for name, info in metrics.items()]
        cells = ("" if mean is None else f"{mean:.{info.digits}f}" for info, mean in means)
        numbers = (*cells, f"{gain:+.2f}", str(len(row.images)))
        about = (str(row.as_dict()["model"]), row.data, f"x{row.scale}", row.protocol)
        lines.append((*about, *numbers, time, f"loses to {lost_to}" if lost_to else ""))
    return "\n".join(aligned(lines)) + "\n"
