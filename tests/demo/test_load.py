from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs sr-compare[demo]")

from tests.support.demo_load.campaign import run_campaign
from tests.support.demo_load.requests import request_kinds
from tests.support.demo_load.trace import forbidden_calls


@pytest.mark.slow
def test_the_demo_answers_every_request_under_load_without_violations() -> None:
    report = run_campaign(clients=8, each=1, seconds=120)
    assert report.violations == []
    assert len(report.rows) == len(request_kinds()) == 82
    assert all(row["sent"] == 1 for row in report.rows)
    assert report.facts["temporary_files"] > 20


def test_forbidden_system_calls_are_reported(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    at = "AT_FDCWD</srv>"
    trace.write_text(
        f'7 100.5 openat({at}, "/etc/before", O_RDONLY) = 3\n'
        f'7 200.5 openat({at}, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3\n'
        f'7 201.5 openat({at}, "/usr/lib/x.so", O_RDONLY|O_CLOEXEC) = 3\n'
        f'7 202.5 openat({at}, "/usr/lib/x.pyc", O_WRONLY|O_CREAT, 0666) = 3\n'
        f'7 203.5 openat({at}, "/tmp/own/a.png", O_RDWR|O_CREAT, 0600) = 4\n'
        f'7 204.5 openat({at}, "/tmp/own/../b.png", O_RDONLY) = 5\n'
        '8 205.5 unlinkat(4</tmp/own>, "a.png", 0) = 0\n'
        '8 206.5 rename("/tmp/own/a.png", "/tmp/c\\"d.png") = 0\n'
        f'8 207.5 mkdirat({at}, "new", 0777) = 0\n'
        "9 208.5 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 0\n"
        '9 209.5 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd"}, 16) = -1\n'
        '9 210.5 execve("/bin/sh", ["sh"], 0x1 /* 2 vars */) = 0\n'
    )
    assert forbidden_calls(trace, 200, (Path("/tmp/own"),), (Path("/usr/lib"),)) == [
        "connects: 3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 0",
        "reads: /etc/passwd",
        "reads: /tmp/b.png",
        'starts: "/bin/sh", ["sh"], 0x1 /* 2 vars */) = 0',
        "writes: /srv/new",
        'writes: /tmp/c"d.png',
        "writes: /usr/lib/x.pyc",
    ]
