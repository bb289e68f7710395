"""The batches of training: the same for the same seed, at whichever step they begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import Part, Pictures
from classifier.learning.data.reading import ReadingOptions, make_index
from classifier.learning.training.batches import BatchOrder, make_batches, make_batches_in_order, make_feature_batches
from classifier.learning.training.losses import label_loss, with_sub_labels
from classifier.learning.training.recipe import Recipe, read_recipe
from classifier.learning.training.recipe_parts import Loss
from core.settings import PROJECT
from tests.kfashion_tree import picture

COUNT, SIDE = 11, 24


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureIndex]:
    root = tmp_path_factory.mktemp("data")
    for number in range(COUNT):
        path = root / "train" / f"label{number % 3}" / f"{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number, (30, 40)))
    index = make_index(root, root / "i.arrow", ReadingOptions(whole=False), lambda values, _length, /: values)
    yield index
    index.close()


@pytest.fixture
def recipe() -> Recipe:
    recipe, _ = read_recipe(PROJECT / "recipes" / "training" / "garments.yaml")
    return recipe.model_copy(update={"size": 16, "crop_from": SIDE, "batch": 4})


@pytest.fixture
def pictures(index: PictureIndex) -> Pictures:
    """Pictures in two parts. All pixels of one have its position as their value."""
    weighted = index.with_column("weight", np.linspace(0.1, 1, COUNT))
    values = np.arange(COUNT, dtype=np.uint8)[:, None, None, None]
    pixels = np.broadcast_to(values, (COUNT, SIDE, SIDE, 3)).copy()
    first = Part(pixels[:7], np.arange(7), weighted.take(range(7)))
    # The rows of the second part lie in its file in the opposite order.
    second = Part(pixels[:6:-1], np.arange(4)[::-1], weighted.take(range(7, 11)))
    return Pictures([first, second])


def one_hot(pictures: Pictures) -> Any:
    return lambda positions: np.eye(3, dtype=np.float32)[pictures.labels[positions]]


def batches(recipe: Recipe, pictures: Pictures, steps: range, **options: Any) -> list[tuple[NDArray[Any], ...]]:
    order = BatchOrder(pictures.labels, "natural", recipe.batch, recipe.seed)
    found = make_batches(recipe, pictures, one_hot(pictures), order, steps, **options)
    return [tuple(part.numpy() for part in batch) for batch in found]


def test_batches_are_the_same_for_the_same_seed_and_from_any_step_on(recipe: Recipe, pictures: Pictures) -> None:
    whole = batches(recipe, pictures, range(9))
    for start in (0, 1, 4):
        for expected, found in zip(whole[start:], batches(recipe, pictures, range(start, 9)), strict=True):
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_array_equal(one, other)
    reseeded = batches(recipe.model_copy(update={"seed": recipe.seed + 1}), pictures, range(9))
    assert not np.array_equal(whole[0][0], reseeded[0][0])


def test_each_epoch_has_every_picture_once_in_another_order(recipe: Recipe, pictures: Pictures) -> None:
    unchanged = batches(recipe, pictures, range(9), changed=False)
    assert [len(pixels) for pixels, _, _ in unchanged] == [4, 4, 3] * 3
    shown = np.concatenate([pixels[:, 0, 0, 0] for pixels, _, _ in unchanged])
    epochs = shown.reshape(3, COUNT)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(COUNT))
    assert not np.array_equal(epochs[0], epochs[1])
    # The augmentation of a picture is another one in the next epoch.
    order = BatchOrder(pictures.labels, "natural", recipe.batch, recipe.seed)
    assert not np.array_equal(order.draw(0), order.draw(3))


def test_pixels_targets_and_weights_belong_together(recipe: Recipe, pictures: Pictures) -> None:
    for pixels, targets, weights in batches(recipe, pictures, range(3), changed=False):
        assert pixels.shape[1:] == (16, 16, 3)
        positions = pixels[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(targets.argmax(axis=1), pictures.labels[positions])
        np.testing.assert_allclose(weights, np.linspace(0.1, 1, COUNT)[positions], rtol=1e-6)


def test_features_and_pictures_to_judge_by_have_their_targets(recipe: Recipe, pictures: Pictures) -> None:
    order = BatchOrder(pictures.labels, "natural", recipe.batch, recipe.seed)
    features = np.arange(COUNT, dtype=np.float32)[:, None]
    for rows, targets, weights in make_feature_batches(features, pictures, one_hot(pictures), order, range(3)):
        positions = rows.numpy()[:, 0].astype(int)
        np.testing.assert_array_equal(targets.numpy().argmax(axis=1), pictures.labels[positions])
        np.testing.assert_array_equal(weights.numpy(), pictures.weights[positions])
    in_order = list(make_batches_in_order(recipe, pictures, one_hot(pictures)))
    assert np.concatenate([pixels.numpy()[:, 0, 0, 0] for pixels, _ in in_order]).tolist() == list(range(COUNT))


@pytest.mark.parametrize("sub_labels", [False, True])
def test_a_picture_changes_the_network_in_proportion_to_its_weight(index: PictureIndex, *, sub_labels: bool) -> None:
    main = label_loss(Loss(), np.ones(3), np.ones(3))
    loss = with_sub_labels(main, 3) if sub_labels else main
    changes = []
    for weight in (0.5, 0.25):
        weights = np.array([weight] * 5 + [0.0] * 6)
        pixels = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
        pictures = Pictures([Part(pixels, np.arange(COUNT), index.with_column("weight", weights))])
        one = one_hot(pictures)
        targets = (lambda positions, one=one: np.tile(one(positions), 2)) if sub_labels else one
        order = BatchOrder(pictures.labels, "natural", COUNT, 1)
        features = np.arange(1, COUNT + 1, dtype=np.float32)[:, None] ** 2
        inputs = keras.Input((1,))
        raw = keras.layers.Dense(6 if sub_labels else 3, kernel_initializer="zeros", name="raw")(inputs)
        answers = keras.layers.Concatenate()([keras.ops.log_softmax(raw[:, :3]), raw[:, 3:]]) if sub_labels else raw
        model = keras.Model(inputs, answers if sub_labels else keras.ops.log_softmax(raw))
        model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=False)
        model.fit(make_feature_batches(features, pictures, targets, order, range(1)), shuffle=False, verbose=0)
        changes.append(model.get_layer("raw").get_weights()[0])
    assert np.abs(changes[0]).max() > 1e-3
    np.testing.assert_allclose(changes[0], 2 * changes[1], rtol=1e-4, atol=1e-8)
