from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from classifier.calibration import calibrate, calibration_error, fit_temperature, logits_of
from classifier.evaluation import evaluate
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid
from core.settings import PROJECT

TAXONOMY = Taxonomy.from_json(json.loads((PROJECT / "recipes/training/garments.labels.json").read_text("utf-8")))
LABELS = len(TAXONOMY.labels)


def drawn(count: int, temperature: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return logits, and labels that have the chances softmax(logits / temperature)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, LABELS)) * temperature
    chances = softmax(logits / temperature, axis=1)
    labels = (chances.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return logits, np.minimum(labels, LABELS - 1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_drawn_labels_is_found(temperature: float) -> None:
    logits, labels = drawn(20_000, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)
    assert fit_temperature(logits_of(softmax(logits, axis=1)), labels) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("temperature", [0.4, 3.0])
def test_a_temperature_from_other_pictures_lowers_the_calibration_error(temperature: float) -> None:
    logits, labels = drawn(4000, temperature)
    scores = softmax(logits, axis=1)
    found = calibrate(scores, labels)
    assert found.pictures == 4000
    assert found.error_before == calibration_error(scores, labels) > 0.1
    assert found.error_after < 0.03


def test_the_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    scores = np.array([[0.95, 0.05], [0.92, 0.08], [0.4, 0.6], [0.3, 0.7]])
    # 0.95 and 0.92 share a bin with one right answer; 0.6 is right; 0.7 is wrong.
    expected = (abs(1 - 1.87) + abs(1 - 0.6) + abs(0 - 0.7)) / 4
    assert calibration_error(scores, np.array([0, 1, 1, 0])) == pytest.approx(expected)


def test_copies_of_a_picture_do_not_judge_the_temperature_that_was_fitted_on_them() -> None:
    logits, labels = drawn(60, 3.0)
    # The second half of the pictures repeats the first.
    scores = np.concatenate([softmax(logits, axis=1)] * 2)
    clusters = [str(number) for number in range(60)] * 2
    once = calibrate(scores[:60], labels, clusters[:60])
    twice = calibrate(scores, np.concatenate([labels] * 2), clusters)
    assert twice.temperature == pytest.approx(once.temperature, rel=1e-3)
    assert twice.error_after == pytest.approx(once.error_after, rel=1e-3)


def test_pictures_that_are_all_labelled_correctly_or_at_random_are_refused() -> None:
    logits, _ = drawn(50, 1.0)
    with pytest.raises(DatasetInvalid, match="got 50 correct of 50"):
        fit_temperature(logits, logits.argmax(axis=1))
    with pytest.raises(DatasetInvalid, match="got 0 correct of 50"):
        fit_temperature(logits, logits.argmin(axis=1))
    with pytest.raises(DatasetInvalid, match="got 0 correct of 0"):
        fit_temperature(logits[:0], np.zeros(0, np.int64))


def test_95_percent_intervals_contain_the_true_figure_in_about_95_percent_of_simulations() -> None:
    logits, labels = drawn(200_000, 1.0)
    scores = softmax(logits, axis=1).astype(np.float32)
    truth = evaluate(scores, labels, TAXONOMY)
    simulations = 60
    contained = dict.fromkeys(truth["intervals"], 0)
    for number in range(simulations):
        part = slice(400 * number, 400 * (number + 1))
        intervals = evaluate(scores[part], labels[part], TAXONOMY)["intervals"]
        for name, (low, high) in intervals.items():
            contained[name] += low <= truth[name] <= high
    assert contained.keys() == {"accuracy", "recall_at_3", "macro_f1", "balanced_accuracy", "group_accuracy"}
    # 57 of 60 are expected. Chance, and the bias of F1 in small samples, may take a few more away.
    assert min(contained.values()) >= simulations - 8, contained


def test_intervals_are_reproducible_contain_the_figure_and_shrink_with_more_pictures() -> None:
    logits, labels = drawn(4000, 1.0)
    scores = softmax(logits, axis=1).astype(np.float32)
    few, many = evaluate(scores[:250], labels[:250], TAXONOMY), evaluate(scores, labels, TAXONOMY)
    assert evaluate(scores, labels, TAXONOMY) == many
    for name, (low, high) in many["intervals"].items():
        assert low < many[name] < high
        # Sixteen times as many pictures make an interval a quarter as wide.
        assert few["intervals"][name][1] - few["intervals"][name][0] == pytest.approx(4 * (high - low), rel=0.3)


def test_the_interval_of_a_perfect_model_has_no_width() -> None:
    scores = np.eye(LABELS, dtype=np.float32)
    assert evaluate(scores, np.arange(LABELS), TAXONOMY)["intervals"]["accuracy"] == [1.0, 1.0]
