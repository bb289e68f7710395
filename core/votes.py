"""The verdict on a product: the label that its photos vote for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of a product, as far as it counts for the verdict."""

    id: str
    label: str | None
    """The label under which the photo is listed. None without a prediction, and if a person said that no label fits."""
    confidence: float | None = None
    """The calibrated confidence of its prediction. None without a prediction."""
    reviewed: bool = False
    """Whether a person gave the label, or said that no label fits."""
    duplicate_of: str | None = None
    """An earlier item that shows the same photo."""


@dataclass(frozen=True, slots=True)
class Vote:
    """The verdict of the photos of a product."""

    label: str | None
    """None if no photo has a label."""
    confidence: float | None
    votes: int
    """The photos that voted."""
    by_review: bool
    """Whether people gave the votes."""
    set_apart: tuple[str, ...]
    """The photos that show something else: they are listed under another label, or a person said that no label fits."""


def vote(photos: Sequence[Photo]) -> Vote:
    """Return the verdict of photos in the order of their positions.

    The weight of a photo is its confidence c_i, and 1 if a person gave the label. The label with the largest sum of
    weights wins; of equal sums, that of the earlier photo. If people gave labels, only these vote. A photo that occurs
    twice votes once. The confidence is the sum of the winning label's weights divided by the number n of votes:

        confidence = (sum of c_i over the photos with the label) / n

    This is the linear opinion pool (Stone, 1961, https://doi.org/10.1214/aoms/1177704873), in which each photo says c_i
    for its own label and nothing for the others. Photos of one product resemble each other, so they are not independent
    witnesses. Multiplying their odds would therefore give a confidence that is too high.
    """
    labelled = [photo for photo in photos if photo.label is not None]
    reviewed = [photo for photo in labelled if photo.reviewed]
    voters = {photo.duplicate_of or photo.id: photo for photo in reversed(reviewed or labelled)}
    sums: dict[str, float] = {}
    for photo in reversed(voters.values()):
        assert photo.label is not None
        weight = 1.0 if photo.reviewed else photo.confidence or 0.0
        sums[photo.label] = sums.get(photo.label, 0.0) + weight
    if not sums:
        return Vote(None, None, 0, by_review=False, set_apart=())
    winner = max(sums, key=sums.__getitem__)
    apart = tuple(photo.id for photo in photos if photo.label != winner and (photo.label is not None or photo.reviewed))
    return Vote(winner, sums[winner] / len(voters), len(voters), by_review=bool(reviewed), set_apart=apart)
