from pathlib import Path

from sr.report.page import write_report
from tests.support.run_folders import RunFolders


def head_of(root: Path) -> str:
    write_report([root])
    return (root / "report.html").read_text().partition("<main")[0]


def test_the_head_says_what_was_compared_on_what_when_and_where(run_folders: RunFolders) -> None:
    for seed, day in enumerate(("2026-11-25", "2026-11-27")):
        started, machine = f"{day}T10:00:00", {"cpu": "EPYC", "threads": 1 + seed}
        run_folders(f"vdsr_mse_adam_{seed}", [0.1] * 4, seed=seed, started=started, machine=machine)
    head = head_of(run_folders.root)
    for name, text in (
        ("compared", "1 configuration, 4 trainings"),  # two seeds of two folds
        ("data", "4 images, scale 1, protocol rgb, data 01234567"),
        ("trained", "2026-11-25 to 2026-11-27"),
        ("machine", "EPYC, 1 thread; EPYC, 2 threads"),
    ):
        assert f"<dt>{name}</dt><dd>{text}</dd>" in head


def test_the_contents_list_every_section_that_folds(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.1] * 4)
    head = head_of(run_folders.root)
    page = (run_folders.root / "report.html").read_text()
    links = [line.partition('href="#')[2].partition('"')[0] for line in head.splitlines() if '<li class="level' in line]
    folds = [part.partition('id="')[2].partition('"')[0] for part in page.split('<details class="fold')[1:]]
    assert links == folds
    assert "s1-ranking" in links
