"""Values against annotations; the expected results are decided by hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig

from sr.options.annotations import Component, Matching, Range, describe, display, fits, mismatches

Colour = Enum("Colour", {"RED": "r", "BLUE": "b"})
Pixels = NewType("Pixels", int)
T = TypeVar("T")
NODE = {"_target_": "sr.nets.espcn.ESPCN"}


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, int, True),
        (3.0, int, False),
        (True, int, False),
        ("3", int, False),
        (None, int, False),
        (3, float, True),
        (3.5, float, True),
        (True, float, False),
        ("abc", float, False),
        (False, bool, True),
        (0, bool, False),
        ("yes", str, True),
        (5, str, False),
        ("a/b", Path, True),
        (5, Path, False),
        (None, Optional[int], True),  # noqa: UP045
        (None, int | None, True),
        ("x", int | None, False),
        (None, None, True),
        ("x", None, False),
        (0.5, Union[float, torch.Tensor], True),  # noqa: UP007
        ("abc", float | torch.Tensor, False),
        ([1.0], float | torch.Tensor, False),
        ("relu", Literal["relu", "tanh"], True),
        ("gelu", Literal["relu", "tanh"], False),
        (1, Literal[True], False),
        (True, Literal[1], False),
        ([2, 3], Sequence[int], True),
        ([2, 3.5], Sequence[int], False),
        ([2, True], list[int], False),
        ([], list[int], True),
        ("23", Sequence[str], False),
        (["a"], Iterable[str], True),
        ([[1, 2], [3]], list[list[int]], True),
        ([[1, 2], ["x"]], list[list[int]], False),
        ([0.9, 0.99], tuple[float, float], True),
        ([0.9], tuple[float, float], False),
        ([0.9, "x"], tuple[float | torch.Tensor, float], False),
        ([1, 2, 3], tuple[int, ...], True),
        ([1, "x"], tuple[int, ...], False),
        (8, list[int], False),
        ([8, 8], int, False),
        ({"mae": 1, "vgg": 0.5}, Mapping[str, float], True),
        ({"mae": "x"}, dict[str, float], False),
        ({"mae": 1}, DictConfig, True),
        ({"mae": 1}, list[int], False),
        ([1], Mapping[str, int], False),
        ("r", Colour, True),
        ("RED", Colour, True),
        ("green", Colour, False),
        (5, Callable[[int], int], False),
        (NODE, Callable[[int], int], True),
        (NODE, int, True),
        ({"scale": 2}, Component, False),
        (None, Component, False),
        (3, Pixels, True),
        ("x", Pixels, False),
        ("anything", Any, True),
        ("anything", T, True),
        ("anything", "a name", True),
        (0, Annotated[int, Range(1)], False),
        (1, Annotated[int, Range(1)], True),
        (0, Annotated[float, Range(0, 1)], True),
        (0, Annotated[float, Range(0, 1, open_start=True)], False),
        (1, Annotated[float, Range(0, 1, open_start=True)], True),
        (1.01, Annotated[float, Range(0, 1)], False),
        (float("nan"), Annotated[float, Range(0)], False),
        ("x", Annotated[int, Range(1)], False),
        ("0,1", Annotated[str, Matching(r"\d+(,\d+)*", "numbers")], True),
        ("0,1;", Annotated[str, Matching(r"\d+(,\d+)*", "numbers")], False),
    ],
)
def test_a_value_fits_or_not(value: object, annotation: Any, expected: bool) -> None:
    assert fits(value, annotation) is expected


@pytest.mark.parametrize(
    ("annotation", "description"),
    [
        (int, "an integer"),
        (float | None, "a number or null"),
        (int | float | None, "a number or null"),
        (bool, "true or false"),
        (bool | Literal["warn"] | None, "true, false, warn, or null"),
        (Path | str, "a path or a string"),
        (float | torch.Tensor, "a number"),
        (Sequence[int] | None, "a list of integers or null"),
        (tuple[float | torch.Tensor, float | torch.Tensor], "a list of 2 numbers"),
        (tuple[int, str], "a list of 2 values"),
        (list[Annotated[int, Range(2)]], "a list of integers of 2 or more"),
        (list, "a list"),
        (dict[str, int], "a mapping"),
        (Colour, "r or b"),
        (Component, "a node with _target_"),
        (torch.nn.Module | None, "a node with _target_ (Module) or null"),
        (Annotated[int, Range(0, 9)], "an integer from 0 to 9"),
        (Annotated[float, Range(0, 1, open_start=True)], "a number above 0 and at most 1"),
        (Annotated[float, Range(0, open_start=True)], "a number above 0"),
        (Annotated[str, Matching("x+", "only x")], "only x"),
        (Any, "a value"),
    ],
)
def test_an_annotation_is_described_in_words(annotation: Any, description: str) -> None:
    assert describe(annotation) == description


def test_the_mismatching_item_of_a_mapping_is_named() -> None:
    weights = {"mae": 1.0, "vgg": {"low": "x", "high": 2}}
    annotation = Mapping[str, float | Mapping[str, float]] | None
    assert list(mismatches("loss.weights", weights, annotation)) == [("loss.weights.vgg.low", "x", float)]
    assert list(mismatches("loss.weights", [1], annotation)) == [("loss.weights", [1], annotation)]
    assert list(mismatches("loss.weights", {"mae": 1.0}, annotation)) == []


def test_values_are_displayed_as_on_the_command_line_and_long_ones_are_truncated() -> None:
    assert [display(value) for value in (None, True, False, 1e-3, "a b")] == ["null", "true", "false", "0.001", "'a b'"]
    assert len(display("x" * 1000)) < 300


CONFIG_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(CONFIG_VALUES)
def test_optional_adds_null_and_nothing_else(value: Any) -> None:
    for annotation in (int, float, bool, str, list[int], dict[str, float], Literal["a"]):
        assert fits(value, annotation | None) == (value is None or fits(value, annotation))
        assert fits(value, Annotated[annotation, "a note"]) == fits(value, annotation)


@given(CONFIG_VALUES)
def test_scalars_fit_by_their_exact_types(value: Any) -> None:
    assert fits(value, int) == (type(value) is int)
    assert fits(value, float) == (type(value) in (int, float))
    assert fits(value, bool) == (type(value) is bool)
    assert fits(value, str) == (type(value) is str)


@given(st.lists(CONFIG_VALUES, max_size=4))
def test_a_list_fits_if_each_of_its_elements_does(values: list[Any]) -> None:
    for annotation in (int, float | None, str):
        expected = all(fits(value, annotation) for value in values)
        assert fits(values, list[annotation]) is expected  # type: ignore[valid-type]
        assert fits({str(index): value for index, value in enumerate(values)}, dict[str, annotation]) is expected  # type: ignore[valid-type]
