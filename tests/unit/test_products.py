"""The verdict on a product, the id that ties its pictures together, and the labels that its category means."""

from __future__ import annotations

import json

import pytest

from core.categories import CategoryWords
from core.products import product_id_of
from core.settings import PROJECT
from core.votes import Photo, Vote, vote

TAXONOMY = json.loads((PROJECT / "models" / "garments" / "4" / "labels.json").read_text("utf-8"))
COAT, DRESS, SHIRT = "outwear", "dress", "shirt"


def test_the_label_with_the_largest_sum_of_confidences_wins() -> None:
    # Two doubtful photos of a dress (0.5 + 0.45 = 0.95) win over a clear one of a coat (0.9). 0.95 / 3 votes.
    photos = [Photo("a", COAT, 0.9), Photo("b", DRESS, 0.5), Photo("c", DRESS, 0.45)]
    found = vote(photos)
    assert (found.label, found.votes, found.by_review, found.set_apart) == (DRESS, 3, False, ("a",))
    assert found.confidence == pytest.approx(0.95 / 3)


def test_agreeing_photos_have_the_mean_of_their_confidences_and_one_photo_its_own() -> None:
    agreed = vote([Photo("a", COAT, 0.9), Photo("b", COAT, 0.7), Photo("c", None)])
    assert (agreed.label, agreed.votes, agreed.set_apart) == (COAT, 2, ())
    assert agreed.confidence == pytest.approx(0.8)
    assert vote([Photo("a", SHIRT, 0.6)]) == Vote(SHIRT, 0.6, 1, by_review=False, set_apart=())


def test_reviews_win_over_any_number_of_predictions() -> None:
    photos = [Photo("a", COAT, 0.99), Photo("b", COAT, 0.99), Photo("c", DRESS, 0.2, reviewed=True)]
    assert vote(photos) == Vote(DRESS, 1.0, 1, by_review=True, set_apart=("a", "b"))
    # Two reviews for a dress and one for a shirt: 2 / 3.
    split = [*photos, Photo("d", DRESS, 0.1, reviewed=True), Photo("e", SHIRT, 0.9, reviewed=True)]
    assert vote(split).confidence == pytest.approx(2 / 3)


def test_a_photo_that_no_label_fits_is_set_apart_and_does_not_vote() -> None:
    photos = [Photo("a", None, 0.9, reviewed=True), Photo("b", COAT, 0.5)]
    assert vote(photos) == Vote(COAT, 0.5, 1, by_review=False, set_apart=("a",))
    assert vote(photos[:1]) == vote([]) == Vote(None, None, 0, by_review=False, set_apart=())


def test_a_photo_that_occurs_twice_votes_once_and_ties_go_to_the_earlier_photo() -> None:
    photos = [Photo("a", COAT, 0.5), Photo("b", DRESS, 0.4), Photo("c", DRESS, 0.4, duplicate_of="b")]
    assert vote(photos) == Vote(COAT, 0.25, 2, by_review=False, set_apart=("b", "c"))
    assert vote([Photo("a", DRESS, 0.5), Photo("b", COAT, 0.5)]).label == DRESS


@pytest.mark.parametrize(
    ("category", "breadcrumb", "expected"),
    [
        ("Dresses", (), {"dress"}),
        ("Women > Clothing > DRESSES", (), {"dress"}),
        ("Women's T-Shirts", (), {"t-shirt", "longsleeve"}),
        ("Men’s Tees", (), {"t-shirt", "longsleeve"}),
        ("Coats & Jackets", (), {"outwear"}),
        ("Skirts and Shorts", (), {"skirt", "shorts"}),
        ("Long-sleeve T-shirts", (), {"longsleeve"}),
        ("원피스", (), {"dress"}),
        ("여성 스커트/원피스", (), {"skirt", "dress"}),
        ("Bottoms", (), {"pants", "shorts", "skirt"}),
        (None, ("Home", "Women", "Dresses", "Midi", "Red midi with belt"), {"dress"}),
        ("New in", ("Women", "Shoes"), {"shoes"}),
        ("Dress shoes", (), None),
        ("Dresses & Jumpsuits", (), None),
        ("Shirt dresses", (), None),
        ("Sale", ("Home", "Women"), None),
        ("", (), None),
        (None, (), None),
    ],
)
def test_a_category_means_labels_only_if_all_its_words_are_known(
    category: str | None, breadcrumb: tuple[str, ...], expected: set[str] | None
) -> None:
    assert CategoryWords(TAXONOMY).labels_of(category, breadcrumb) == expected


def test_the_first_field_that_names_a_product_ties_its_pictures_together() -> None:
    product = {"title": "Coat", "url": "https://shop.example/p/1", "gtin": "4006381333931"}
    assert product_id_of(product) == "4006381333931"
    assert product_id_of({**product, "sku": "C-1-M", "variant_of": "C-1"}) == "C-1"
    assert product_id_of({"title": "Coat"}) is None
    first, second = (product_id_of({"url": f"https://shop.example/{'a' * 300}/{number}"}) for number in (1, 2))
    assert first != second
    assert len(first or "") == len(second or "") == 200
