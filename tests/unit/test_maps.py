"""The layout of vectors, and the areas and samples of maps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.maps import MAX_POINTS, SIDE, Area, Points, sample
from worker.maps.layout import lay_out, principal_components, to_square


def clusters(count: int = 4, each: int = 30, length: int = 64) -> tuple[NDArray[np.float16], NDArray[np.intp]]:
    """Return vectors around `count` directions, and the number of the direction of each."""
    random = np.random.default_rng(5)
    directions = random.normal(size=(count, length))
    numbers = np.arange(count * each) % count
    vectors = directions[numbers] + random.normal(size=(count * each, length)) * 0.3
    # The length of a vector must not matter.
    return (vectors * random.uniform(0.5, 20, (count * each, 1))).astype(np.float16), numbers


def neighbours(places: NDArray[np.uint16]) -> NDArray[np.intp]:
    distances = np.linalg.norm(places[:, None].astype(np.float64) - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest: NDArray[np.intp] = distances.argmin(axis=1)
    return nearest


def test_similar_vectors_are_neighbours_and_the_same_seed_gives_the_same_places() -> None:
    # One thread, because the threads of OpenMP spin in this process while they wait for each other.
    vectors, numbers = clusters(each=12)
    seen: list[float] = []
    places = lay_out(vectors, 1, 1, seen.append)
    assert (numbers[neighbours(places)] == numbers).all()
    assert (places.min(), places.max()) == (0, SIDE - 1)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert (lay_out(vectors, 1, 1, seen.append) == places).all()


def test_pictures_that_are_all_the_same_share_a_place() -> None:
    places = lay_out(np.full((25, 8), 0.3, np.float16), 1, 1, lambda _: None)
    assert (places == SIDE // 2).all()


def test_components_do_not_depend_on_blocks_and_a_vector_of_zeros_is_taken() -> None:
    vectors, _ = clusters(each=1200)
    vectors[7] = 0
    found = principal_components(vectors)
    assert found.shape == (4800, 50)
    assert np.isfinite(found).all()
    variances = found.var(axis=0)
    assert (np.diff(variances) <= 1e-6).all()


def test_a_layout_fills_the_square_with_one_scale() -> None:
    places = to_square(np.array([[-2.0, 5.0], [2.0, 5.0], [0.0, 6.0]]))
    assert places.tolist() == [[0, 24576], [SIDE - 1, 24576], [32768, 40959]]


def test_points_are_packed_in_eight_bytes() -> None:
    points = Points(np.array([3, 70_000], np.int32), np.array([[0, 65_535], [1, 2]], np.uint16))
    data = points.encode()
    assert len(data) == 16
    decoded = Points.decode(data)
    assert decoded.positions.tolist() == [3, 70_000]
    assert decoded.places.tolist() == [[0, 65_535], [1, 2]]


def test_a_large_job_shows_the_same_sample_each_time() -> None:
    assert sample(MAX_POINTS) is None
    one, other = sample(3 * MAX_POINTS), sample(3 * MAX_POINTS)
    assert one is not None
    assert other is not None
    assert (one == other).all()
    assert len(np.unique(one)) == MAX_POINTS
    # It is taken from all of the job.
    assert (np.histogram(one, 10, (0, 3 * MAX_POINTS))[0] > MAX_POINTS // 12).all()


def test_an_area_may_be_concave() -> None:
    area = Area.parse("1_0-0_100-0_100-100_50-20_0-100")
    places = np.array([[10, 10], [50, 50], [90, 60], [200, 50], [50, 10]], np.uint16)
    assert area.positions(Points(np.arange(5, dtype=np.int32), places)) == [0, 2, 4]


@pytest.mark.parametrize(
    "text", ["", "1", "1_1-1_2-2", "x_1-1_2-2_3-3", "1_1-1_2-2_3,3", "1_-1-1_2-2_3-3", "1_" + "_".join(["1-1"] * 201)]
)
def test_a_text_that_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the revision of a map"):
        Area.parse(text)
