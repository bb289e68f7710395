"""The arithmetic of hints: margins, neighbours, probable label errors, distance to what is known, diverse samples."""

from __future__ import annotations

import numpy as np
import pytest

from classifier import hints
from classifier.hints import Reference

RANDOM = np.random.default_rng(7)
CENTRES = RANDOM.normal(size=(3, 16))


def vectors(label: int, count: int, spread: float = 0.3) -> np.ndarray:
    made: np.ndarray = (CENTRES[label] + RANDOM.normal(scale=spread, size=(count, 16))).astype(np.float16)
    return made


@pytest.fixture(scope="module")
def reference() -> Reference:
    train = np.concatenate([vectors(label, 60) for label in range(3)])
    validation = np.concatenate([vectors(label, 100) for label in range(3)])
    return Reference(train, np.repeat(np.arange(3), 60), validation)


def test_the_margin_is_the_distance_of_the_best_two_scores() -> None:
    assert hints.margins(np.array([[0.1, 0.5, 0.4], [0.9, 0.1, 0.0]])) == pytest.approx([0.1, 0.8])
    assert hints.margins(np.array([[1.0]])) == pytest.approx([1.0])


def test_neighbours_disagree_with_a_wrong_label(reference: Reference) -> None:
    pictures = vectors(0, 20)
    agreement, familiarity = reference.compare(np.repeat(pictures, 2, axis=0), np.array([0, 1] * 20))
    assert (agreement[::2] > 0.9).all()
    assert (agreement[1::2] < 0.1).all()
    # The label has nothing to do with how known a picture is.
    assert familiarity[::2] == pytest.approx(familiarity[1::2])
    assert reference.compare(pictures, np.full(20, -1))[0] == pytest.approx(np.zeros(20))


def test_what_is_unlike_all_training_pictures_is_below_one(reference: Reference) -> None:
    known = np.concatenate([vectors(label, 200) for label in range(3)])
    strange = RANDOM.normal(size=(50, 16))
    _, familiarity = reference.compare(np.concatenate([known, strange]), np.zeros(650, np.int64))
    assert (familiarity[:600] < 1).mean() < 0.05
    assert (familiarity[600:] < 1).all()


def test_planted_label_errors_come_first_and_are_flagged() -> None:
    truth = RANDOM.integers(4, size=600)
    scores = RANDOM.dirichlet(np.ones(4), size=600) * 0.2
    scores[np.arange(600), truth] += 0.8
    given = truth.copy()
    planted = RANDOM.choice(600, 18, replace=False)
    given[planted] = (truth[planted] + 1) % 4
    quality, flagged = hints.label_quality(scores, given)
    assert set(np.argsort(quality)[:18]) == set(planted)
    # Confident learning flags what is predicted with more than the mean confidence of that label.
    assert 6 <= flagged.sum() <= 18
    assert set(np.flatnonzero(flagged)) <= set(planted)


def test_a_doubtful_prediction_does_not_make_a_label_wrong() -> None:
    scores = np.array([[0.95, 0.05], [0.9, 0.1], [0.05, 0.95], [0.1, 0.9], [0.45, 0.55]])
    _, flagged = hints.label_quality(scores, np.array([0, 0, 1, 1, 0]))
    # It is predicted as 1, but with less confidence than the pictures that are labelled 1.
    assert flagged.tolist() == [False] * 5


def test_a_label_that_nobody_gave_must_be_predicted_with_confidence() -> None:
    scores = np.array([[0.02, 0.98], [0.3, 0.7], [0.95, 0.05]])
    assert hints.label_quality(scores, np.zeros(3, np.int64))[1].tolist() == [True, False, False]


def test_a_diverse_sample_covers_every_cluster_and_has_no_copies() -> None:
    clusters = np.concatenate([np.repeat(vectors(label, 1), 50, axis=0) for label in (0, 0, 1, 2)])
    chosen = hints.diverse(clusters, 10)
    assert sorted(row // 50 for row in chosen.tolist()) == [0, 1, 2, 3]
    spread = np.concatenate([vectors(0, 300, spread=0.01), vectors(1, 3), vectors(2, 3)])
    first = hints.diverse(spread, 3)
    assert first[0] < 300
    assert sorted((row >= 300) + (row >= 303) for row in first.tolist()) == [0, 1, 2]
    assert len(hints.diverse(spread[:2], 10)) == 2
