import numpy as np
import pytest

from sr.race.policy import LEAST, Round, next_round
from sr.report.components import Values, components

MOST = 10


def drawn(
    means: list[float], *, training: float = 0.04, interaction: float = 0.0, photographs: int = 20, seed: int = 0
) -> Values:
    """Scores ``(C, T, P)`` of 10 trainings each."""
    random = np.random.default_rng(seed)
    scores = np.array(means)[:, None, None] + random.normal(30, 3, photographs)
    scores = scores + random.normal(0, 1, (len(means), 1, photographs)) * interaction
    scores = scores + random.normal(0, training, (len(means), MOST, 1))
    return np.asarray(scores + random.normal(0, 0.06, (len(means), MOST, photographs)))


def after(scores: Values, counts: list[int], costs: list[float] | None = None, left_out: tuple[int, ...] = ()) -> Round:
    """What comes next once the first ``counts`` trainings are known."""
    known = np.where(np.arange(MOST)[:, None] < np.array(counts)[:, None, None], scores, np.nan)
    parts = components(known, [0] * scores.shape[2], [False] * len(scores))
    return next_round(parts, costs or [1.0] * len(scores), 0.05, most=MOST, left_out=left_out)


def test_those_with_few_trainings_come_first() -> None:
    following = after(drawn([0.0, 0.5, 1.0]), [LEAST, LEAST - 1, LEAST + 1])
    assert following.trained == [1]
    assert not following.is_decided


def test_a_clear_winner_ends_the_race() -> None:
    following = after(drawn([0.0, -1.0, -1.1, -1.2]), [LEAST] * 4)
    assert following == Round(bests=[0], trained=[], given_up=[], is_decided=True)


def test_close_ones_are_trained_and_worse_ones_are_not() -> None:
    following = after(drawn([0.06, 0.0, -1.0, -1.0], training=0.05), [LEAST] * 4)
    assert sorted(following.trained) == [0, 1]
    assert following.bests == [0, 1]


def test_equivalent_ones_end_the_race() -> None:
    following = after(drawn([0.0, 0.0, -1.0], training=0.005), [6, 6, LEAST])
    assert following == Round(bests=[0, 1], trained=[], given_up=[], is_decided=True)


def test_a_pair_that_depends_on_the_photographs_is_given_up() -> None:
    following = after(drawn([0.0, 0.0, -3.0], training=0.001, interaction=0.5, photographs=8, seed=1), [LEAST] * 3)
    assert following == Round(bests=[0, 1], trained=[], given_up=[(0, 1)], is_decided=False)


def test_an_expensive_training_waits_for_cheap_ones() -> None:
    following = after(drawn([0.06, 0.0, -1.0, -1.0], training=0.05), [LEAST] * 4, costs=[10.0, 1.0, 1.0, 1.0])
    assert following.trained == [1]


def test_what_cannot_be_trained_is_left_out() -> None:
    scores = drawn([0.06, 0.0, -1.0, -1.0], training=0.05)
    assert after(scores, [LEAST] * 4, left_out=(0,)).trained == [1]
    following = after(scores, [LEAST] * 4, left_out=(0, 1))
    assert following.trained == []
    assert following.given_up == [(0, 1)]


def test_with_all_trainings_the_race_is_over() -> None:
    assert after(drawn([0.02, 0.0, 0.01], training=0.2), [MOST] * 3).trained == []


@pytest.mark.parametrize(
    "means", [[0.0, -0.3, -0.4, -0.5, -0.6, -0.8], [0.0, -0.02, -0.3, -0.4, -0.5, -0.6], [0.0] * 6]
)
def test_a_race_names_the_winners_of_the_full_design_with_fewer_trainings(means: list[float]) -> None:
    same, share, replays = 0, 0.0, 14
    for replay in range(replays):
        scores = drawn(means, seed=replay)
        counts = [LEAST] * 6
        while (following := after(scores, counts)).trained:
            counts = [count + (number in following.trained) for number, count in enumerate(counts)]
        same += following.bests == after(scores, [MOST] * 6).bests
        share += sum(counts) / (6 * MOST) / replays
    assert same >= replays - 1
    assert share <= 0.62


def test_one_with_too_few_trainings_for_a_verdict_leaves_the_race_undecided() -> None:
    scores = drawn([0.0, -1.0, 2.0])
    known = np.where(np.arange(MOST)[:, None] < np.array([LEAST, LEAST, 1])[:, None, None], scores, np.nan)
    parts = components(known, [0] * scores.shape[2], [False] * 3)
    following = next_round(parts, [1.0] * 3, 0.05, most=MOST, left_out=[2], undecidable={2})
    assert following == Round(bests=[0, 2], trained=[], given_up=[], is_decided=False)
    following = next_round(parts, [1.0] * 3, 0.05, most=MOST, left_out=[1, 2], undecidable={1, 2})
    assert following == Round(bests=[0, 1, 2], trained=[], given_up=[], is_decided=False)
