from pathlib import Path

import pytest

from sr.writing import read_table, write_table, write_text


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "first\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.csv", "second \udc80")
    assert (tmp_path / "a.csv").read_text() == "first\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_tables_hold_the_columns_of_all_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", [{"a": 1}, {"a": 2, "b": 'x,"y"'}])
    assert read_table(tmp_path / "a.csv") == [{"a": "1", "b": ""}, {"a": "2", "b": 'x,"y"'}]
