"""Degradations by name, with options."""

import pytest

from sr.benchmark.named_degradations import named_degradations, split
from sr.data.degrade.base import Degradation
from sr.data.degrade.jpeg import Jpeg
from sr.data.degrade.noise import Noise
from sr.data.degrade.photo import Photo
from sr.errors import UserError
from sr.train import config_dir


def test_names_have_the_values_of_their_files_and_the_options_that_follow_them() -> None:
    found = named_degradations("photo, jpeg:quality=[20,60],noise:kinds=[gaussian]:sigma=[5,5]", config_dir())
    expected: dict[str, Degradation] = {
        "photo": Photo(),
        "jpeg:quality=[20,60]": Jpeg((20, 60)),
        "noise:kinds=[gaussian]:sigma=[5,5]": Noise(("gaussian",), sigma=(5, 5)),
    }
    assert found == expected


def test_a_list_of_lists_is_an_option() -> None:
    (photo,) = named_degradations("photo:quality=[[90,90],[95,95]]", config_dir()).values()
    assert photo == Photo(quality=((90, 90), (95, 95)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpg", r"--degrade jpg: no such degradation; did you mean jpeg\?"),
        ("nothing_like_it", "no such degradation: choose from area, bicubic"),
        ("jpeg,jpeg", "--degrade jpeg: is named twice"),
        ("jpeg:quality", "'quality' is no option: write jpeg:OPTION=VALUE"),
        ("jpeg:q=1", "--degrade jpeg:q=1: .*q"),
        ("jpeg:qualty=3", r"jpeg has no option 'qualty' \(it has .*quality.*\); did you mean quality\?"),
        ("jpeg:quality=[a", "--degrade jpeg:quality"),
        ("jpeg:quality=[95,30]", r"--degrade jpeg:quality=\[95,30\]: quality must be two whole numbers from 1 to 100"),
        ("jpeg:quality=[a,b]", r"--degrade jpeg:quality=\[a,b\]: quality must be two whole numbers .*: \['a', 'b'\]"),
        ("jpeg:quality=[30.4,30.6]", r"--degrade .*: quality must be two whole numbers .*: \[30.4, 30.6\]"),
        ("jpeg:quality=true", "--degrade jpeg:quality=true: quality must be two whole numbers"),
        ("sinc:radius=[3.5,4.5]", "--degrade .*: radius must be two whole numbers from 1 to 50"),
        ("bsrgan:quality=[30.5,90]", "--degrade .*: quality must be two whole numbers"),
        ("photo:quality=[[30.5,90],[30,95]]", "--degrade .*: quality must be two whole numbers"),
        ("photo:sigma=null", "--degrade photo:sigma=null: sigma must be a list of two, .*: None"),
        ("photo:resize_odds=[[1,1],[a,b,c]]", r"--degrade .*: resize_odds must be three numbers .*: \[1, 1\]"),
        ("blur:sigma=null", "--degrade blur:sigma=null: sigma must be two numbers from 0.05 to 20.0, .*: None"),
        ("blur:anisotropic=often", "--degrade .*: anisotropic must be a number from 0 to 1, got often"),
        ("noise:kinds=null", "--degrade noise:kinds=null: kinds must be a list of some of gaussian, .*: None"),
        ("mixed:weights=[a,b]", "--degrade .*: weights must be"),
        ("", "no such degradation"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        named_degradations(text, config_dir())
    assert "\n" not in str(caught.value)


def test_brackets_keep_separators() -> None:
    assert split("a:x=[[1,2],[3]],b", ",") == ["a:x=[[1,2],[3]]", "b"]
