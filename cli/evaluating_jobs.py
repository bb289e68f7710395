"""`lookbook evaluate --job`: the predictions of a job, judged by its reviews."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cli.figures import figure_table, label_table
from cli.learning import quiet_tensorflow
from cli.output import connect, out, print_json
from core.errors import DatasetInvalid

if TYPE_CHECKING:
    from classifier.taxonomy import Taxonomy
    from lookbook import Client, Item

_BIAS = (
    "Reviewed items are a biased sample unless they were drawn at random: people review doubtful predictions first, so "
    "the figures of the whole job are probably better."
)


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """Reviewed items: the scores of their predictions, float32 [N, labels], and the labels of their reviews, [N].

    An answer has only the first few labels. The scores of the others count as 0.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    rejected: int
    """Items for which a person said that no label fits. They have no true label and are in no figure."""
    other_labels: int
    """Items that got a label in their review that the model does not have. They are in no figure."""
    fewest_scores: int
    """The smallest number of labels in an answer."""


def evaluate_job(job_id: str, url: str, key: str, plots: Path | None, *, as_json: bool) -> None:
    """Print the figures of a job's reviewed items.

    Raises:
        DatasetInvalid: no item has a review with a label of the model.
    """
    quiet_tensorflow()
    from classifier.evaluation import evaluate

    with connect(url, key) as client:
        job = client.job(job_id)
        total, model = job.state.counts.total, str(job.state.model)
        taxonomy = _taxonomy(client, model)
        reviewed = _read(job.items(reviewed=True), taxonomy)
    count = len(reviewed.labels)
    if not count:
        raise DatasetInvalid(
            f"{job_id}: expected items with a review that gives a label of {model}, got {reviewed.rejected} rejected "
            f"ones and {reviewed.other_labels} with other labels: `lookbook review` reviews items"
        )
    metrics = evaluate(reviewed.scores, reviewed.labels, taxonomy)
    sample = {
        "model": model,
        "items": total,
        "reviewed": count + reviewed.rejected + reviewed.other_labels,
        "rejected": reviewed.rejected,
        "other_labels": reviewed.other_labels,
    }
    if plots is not None:
        from classifier.learning.judging.evaluation_plots import plot_evaluation

        plot_evaluation(plots, reviewed.scores, reviewed.labels, metrics)
    if as_json:
        print_json(metrics | {"job": job_id, "sample": sample | {"note": _BIAS}})
        return
    _show(metrics, sample, reviewed.fewest_scores)
    if plots is not None:
        out.print(f"plots in {plots}", markup=False)


def _show(metrics: dict[str, Any], sample: dict[str, Any], fewest_scores: int) -> None:
    out.print(label_table(metrics))
    out.print(figure_table(metrics))
    out.print(
        f"{sample['reviewed']:,} of {sample['items']:,} items are reviewed, predicted by {sample['model']}. For "
        f"{sample['rejected']:,} of them no label fits, and {sample['other_labels']:,} have a label that the model "
        f"lacks; they are in no figure."
    )
    out.print(_BIAS)
    if fewest_scores < 3:
        out.print("The job stores fewer than three labels per item (--top-k), so recall@3 is too low.")


def _taxonomy(client: Client, model: str) -> Taxonomy:
    from classifier.taxonomy import Group, Label, Taxonomy

    labels = client.labels(model)
    return Taxonomy(
        model,
        "1",
        tuple(Group(group.id, {"en": group.names.en, "ko": group.names.ko}) for group in labels.groups),
        tuple(Label(label.id, label.group, {"en": label.names.en, "ko": label.names.ko}) for label in labels.labels),
    )


def _read(items: Iterable[Item], taxonomy: Taxonomy) -> _Reviewed:
    numbers = {label: number for number, label in enumerate(taxonomy.label_ids)}
    scores: list[NDArray[np.float32]] = []
    labels: list[int] = []
    rejected = other_labels = 0
    fewest = len(numbers)
    for item in items:
        if item.review is None or item.prediction is None:
            continue
        if item.review.label is None:
            rejected += 1
        elif item.review.label.id not in numbers:
            other_labels += 1
        else:
            labels.append(numbers[item.review.label.id])
            row = np.zeros(len(numbers), np.float32)
            for scored in item.prediction.labels:
                row[numbers[scored.id]] = scored.score
            scores.append(row)
            fewest = min(fewest, len(item.prediction.labels))
    joined = np.stack(scores) if scores else np.empty((0, len(numbers)), np.float32)
    return _Reviewed(joined, np.array(labels, np.int64), rejected, other_labels, fewest)
