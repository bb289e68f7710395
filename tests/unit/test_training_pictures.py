"""The random changes and mixtures of training pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from classifier.learning.training.augmentation import augment
from classifier.learning.training.mixing import mix
from classifier.learning.training.recipe_parts import Augment, CutMix, Mix, Mixup

SEED = tf.constant([1, 2], tf.int64)


def pictures(count: int = 8, side: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


def changed(pixels: NDArray[np.uint8], seed: Any = SEED, size: int = 16, **changes: Any) -> NDArray[np.uint8]:
    return np.asarray(augment(Augment(**changes), size, tf.constant(pixels), seed))


def test_without_changes_pictures_stay_as_they_are() -> None:
    np.testing.assert_array_equal(changed(pictures()), pictures())
    assert changed(pictures(), size=8).shape == (8, 8, 8, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"area": 0.5},
        {"aspect": 1.5, "area": 0.5},
        {"flip": True},
        {"brightness": 0.3},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"hue": 0.2},
        {"erase": 1.0},
        {"jpeg_quality": 20},
    ],
    ids=str,
)
def test_each_change_can_be_switched_alone_and_depends_on_the_seed_only(changes: dict[str, Any]) -> None:
    first = changed(pictures(), **changes)
    assert not np.array_equal(first, pictures())
    np.testing.assert_array_equal(first, changed(pictures(), **changes))
    assert not np.array_equal(first, changed(pictures(), tf.constant([1, 3], tf.int64), **changes))


def test_a_turn_of_the_hue_keeps_grey_and_the_luminance() -> None:
    luminance = np.array([0.299, 0.587, 0.114])
    grey, muted = np.full((4, 8, 8, 3), 90, np.uint8), np.full((4, 8, 8, 3), (120, 100, 110), np.uint8)
    np.testing.assert_allclose(changed(grey, size=8, hue=0.5), grey, atol=1)
    turned = changed(muted, size=8, hue=0.5)
    np.testing.assert_allclose(turned @ luminance, muted @ luminance, atol=1.5)
    assert np.abs(turned.astype(int) - muted).max() > 5


def test_an_erased_rectangle_covers_the_share_of_the_paper() -> None:
    flat = np.full((64, 32, 32, 3), 7, np.uint8)
    shares = (changed(flat, size=32, erase=1.0) != 7).any(axis=-1).mean(axis=(1, 2))
    # 2 % to 33 %, up to the places that a rectangle cuts, and less where it is too long for the picture.
    assert 0.005 < shares.min() < 0.1 < shares.max() < 0.4
    untouched = (changed(flat, size=32, erase=0.5) == 7).all(axis=(1, 2, 3)).mean()
    assert 0.3 < untouched < 0.7


def mixed(
    options: Mix, weights: NDArray[np.float32] | None = None, count: int = 64
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Mix pictures of one grey value each. The value of picture n is 3 n, and its label n."""
    values = (3 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    pixels = np.broadcast_to(values, (count, 16, 16, 3))
    own = np.ones(count, np.float32) if weights is None else weights
    outcome = mix(options, tf.constant(pixels), tf.eye(count), tf.constant(own), SEED)
    pixels, targets, new_weights = (np.asarray(part) for part in outcome)
    return pixels, targets, new_weights


def test_without_mixing_pictures_and_targets_stay() -> None:
    pixels, targets, weights = mixed(Mix())
    assert (pixels[5] == 15).all()
    np.testing.assert_array_equal(targets, np.eye(64))
    assert (weights == 1).all()


@pytest.mark.parametrize("options", [Mixup(max_share=0.4), Mixup(alpha=0.4)], ids=["even", "beta"])
def test_mixup_blends_pixels_as_it_blends_targets(options: Mixup) -> None:
    pixels, targets, _ = mixed(Mix(mixup=options))
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(pixels[:, 0, 0, 0], targets @ (3 * np.arange(64)), atol=1)
    other = 1 - targets.diagonal()
    assert other.max() > 0.3
    if options.max_share:
        assert other.max() <= 0.4


def test_cutmix_replaces_the_share_of_the_picture_that_it_replaces_of_the_target() -> None:
    pixels, targets, _ = mixed(Mix(cutmix=CutMix(chance=0.5)))
    own = (pixels[..., 0] == 3 * np.arange(64)[:, None, None]).mean(axis=(1, 2))
    np.testing.assert_allclose(own, targets.diagonal(), atol=1e-6)
    assert 0.3 < (own == 1).mean() < 0.7
    values = [np.unique(picture) for picture in pixels]
    assert all(set(found) <= {3 * number, 3 * (63 - number)} for number, found in enumerate(values))


def test_a_picture_is_mixed_by_mixup_or_by_cutmix() -> None:
    options = Mix(mixup=Mixup(chance=0.5, max_share=0.4), cutmix=CutMix(chance=0.5))
    pixels, _, _ = mixed(options)
    blended = [len(np.unique(picture)) == 1 and picture[0, 0, 0] != 3 * n for n, picture in enumerate(pixels)]
    cut = [len(np.unique(picture)) == 2 for picture in pixels]
    assert 10 < sum(blended) < 54
    assert 5 < sum(cut) < 54


def test_the_loss_of_a_mixture_is_the_mixture_of_the_weighted_losses() -> None:
    weights = np.linspace(0.1, 2.0, 64, dtype=np.float32)
    _, plain, _ = mixed(Mix(mixup=Mixup(max_share=0.4)))
    _, targets, new_weights = mixed(Mix(mixup=Mixup(max_share=0.4)), weights)
    losses = np.random.default_rng(1).random(64)
    np.testing.assert_allclose(new_weights * (targets @ losses), plain @ (weights * losses), rtol=1e-4)
