from pathlib import Path

import pytest

from sr.io.atomic import remove_leftovers, whole_file, write_text
from sr.io.tables import read_table, write_table


def test_text_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "first\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.csv", "second \udc80")
    assert (tmp_path / "a.csv").read_text() == "first\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_tables_hold_the_columns_of_all_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", [{"a": 1}, {"a": 2, "b": 'x,"y"'}])
    assert read_table(tmp_path / "a.csv") == [{"a": "1", "b": ""}, {"a": "2", "b": 'x,"y"'}]


def test_the_previous_content_is_kept_on_request(tmp_path: Path) -> None:
    for text in (b"first", b"second", b"third"):
        with whole_file(tmp_path / "a", tmp_path / "b") as file:
            file.write(text)
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"third", b"second")


def test_only_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    for name in (".a.csv.77.tmp", ".b.bin.78.tmp", "a.csv", ".lock"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "b.*")
    assert {path.name for path in tmp_path.iterdir()} == {".a.csv.77.tmp", "a.csv", ".lock"}
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", ".lock"}
