from collections.abc import Sequence
from pathlib import Path

import pytest

from sr.data.pairs import describe_degradation, is_too_small, load_pair
from sr.data.sources import Source
from sr.errors import UserError
from tests.support.images import photograph

PAIR = Source("a", "a", Path("high_res/a.png"), lr=Path("low_res/a.png"))
LAYOUT = Source("c", "c", Path("V_HR/c.png"), lr=Path("V_LR_bicubic/X2/cx2.png"))
OTHER = Source("d", "d", Path("GTmod12/d.png"), lr=Path("LRbicx2/d.png"))
ALONE = Source("b", "b", Path("high_res/b.png"))


@pytest.mark.parametrize(
    ("sources", "scale", "factors", "text"),
    [
        ([ALONE], 3, (), "x3, low resolution by MATLAB's bicubic"),
        ([PAIR], 3, (), "x3, low resolution from low_res/"),
        ([PAIR, ALONE], 3, (), "x3, low resolution from low_res/ or, where it has none, by MATLAB's bicubic"),
        ([ALONE], 1, (), "scale 1: sharpens, does not enlarge; input shrunk and enlarged by 4"),
        ([PAIR, LAYOUT], 2, (), "x2, low resolution from V_LR_bicubic/X2/ and low_res/"),
        ([PAIR, LAYOUT, OTHER], 2, (), "x2, low resolution from 3 folders"),
        ([PAIR], 1, (), "scale 1: sharpens, does not enlarge; input from low_res/"),
        ([ALONE], 1, (2, 3), "x2, x3 in one network, low resolution by MATLAB's bicubic"),
    ],
)
def test_the_degradation_is_described_with_its_scale(
    sources: Sequence[Source], scale: int, factors: Sequence[int], text: str
) -> None:
    assert describe_degradation(sources, scale, factors, shrink=4) == text


@pytest.mark.parametrize("size", [1, 0.9, 0.75, 0.6, 0.5])
@pytest.mark.parametrize("rotated", [False, True])
def test_what_is_too_small_is_known_by_the_header(tmp_path: Path, size: float, rotated: bool) -> None:
    for side in (*range(10, 24), 28, 29, 30):
        photograph(side, side + 20).save(tmp_path / "a.png")
        source = Source("a", "a", tmp_path / "a.png", size=size, rotated=rotated)
        try:
            load_pair(source, 2, 2)
        except UserError:
            assert is_too_small(source, 2), side
        else:
            assert not is_too_small(source, 2), side
