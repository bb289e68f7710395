"""Database rows as answers of the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from api.schemas.access import KeyOut
from api.schemas.common import CropIn
from api.schemas.items import (
    AcceptedOut,
    ImageOut,
    ItemOut,
    ItemReviewOut,
    LabelRefOut,
    LabelScoreOut,
    PredictionOut,
    RegionOut,
    ReviewOut,
    SourceOut,
)
from api.schemas.jobs import DeliveryOut, GroupCountOut, LabelCountOut
from api.schemas.models import GroupOut, LabelOut, ModelVersionDetailOut, ModelVersionOut, NamesOut
from api.schemas.products import ProductOut
from core.pictures import is_shown_by_browsers
from core.types import Crop
from db.steps.tallies import Summary
from db.tables import ApiKey, Delivery, Item, ItemRegion, ItemStatus, Job, JobSource, ModelVersion, Prediction, Review
from db.views.acceptances import Policy
from db.views.job import ErrorOut
from db.views.labels import groups_of, labels_of


class ItemPresenter:
    """Turns the items of one job into answers. The job's model version is read once for all items."""

    def __init__(self, job: Job) -> None:
        self._top_k = job.top_k
        self._model = job.model_version.ref
        # A single picture has no policy, and its job comes without a session.
        self._acceptance = None if job.source == JobSource.CLASSIFICATION else job.acceptance
        self._takes_regions = job.model_version.takes_regions
        self._labels: list[dict[str, Any]] = job.model_version.taxonomy["labels"]
        self._job = job
        self._by_id = {row["id"]: _label_ref(row) for row in self._labels}

    def item_out(self, item: Item) -> ItemOut:
        return ItemOut(
            id=item.id,
            job_id=item.job_id,
            position=item.position,
            status=item.status,
            custom_id=item.custom_id,
            source=_source_out(item),
            product=product_out(item.product_id, (item.provenance or {}).get("product")),
            metadata=item.details or {},
            image=self._image_out(item),
            crop=crop_out(Crop.from_key(item.crop_key)),
            duplicate_of=item.duplicate_of,
            label=None if item.label is None else self._label_out(item.label),
            prediction=self._prediction_out(item.prediction, item.reused) if item.prediction else None,
            regions=[self._region_out(region) for region in item.regions] if self._takes_regions else [],
            review=ReviewOut(**self._review_members(item.review)) if item.review else None,
            accepted=self._accepted_out(item),
            error=self._error_out(item),
        )

    def _accepted_out(self, item: Item) -> AcceptedOut | None:
        if self._acceptance is None or item.review is not None:
            return None
        policy = Policy.of(self._acceptance)
        threshold = policy.threshold_of(item.label, item.confidence, item.finished_at)
        if threshold is None:
            return None
        return AcceptedOut(threshold=threshold, by=self._acceptance.key_id, at=self._acceptance.created_at)

    def item_review_out(self, review: Review) -> ItemReviewOut:
        item = review.item
        return ItemReviewOut(
            **self._review_members(review),
            id=review.id,
            item_id=review.item_id,
            position=review.position,
            predicted=self._by_id[review.predicted],
            confidence=item.confidence or 0.0,
        )

    def _review_members(self, review: Review) -> dict[str, Any]:
        return {
            "label": None if review.label is None else self._label_out(review.label),
            "rejected": review.rejected,
            "crop": crop_out(review.crop),
            "by": review.key_id,
            "created_at": review.created_at,
            "updated_at": review.updated_at,
        }

    def _label_out(self, label: str) -> LabelRefOut:
        if label not in self._by_id:
            # Only reviews give labels that the model does not have.
            self._by_id |= {row["id"]: _label_ref(row) for row in labels_of(self._job)}
        return self._by_id[label]

    def _image_out(self, item: Item) -> ImageOut | None:
        blob = item.blob
        if blob is None:
            return None
        path, has_thumbnail = f"/v1/items/{item.id}", item.status == ItemStatus.SUCCEEDED
        return ImageOut(
            sha256=blob.sha256,
            width=blob.width,
            height=blob.height,
            truncated=bool(blob.truncated),
            format=blob.format,
            bytes=blob.bytes,
            thumbnail=thumbnail_path(item.id) if has_thumbnail else None,
            explanation=f"{path}/explanation" if has_thumbnail else None,
            original=f"{path}/image",
            shown=f"{path}/image" + ("" if is_shown_by_browsers(blob.format) else "?format=jpeg")
            if has_thumbnail
            else None,
        )

    def _prediction_out(self, prediction: Prediction, reused: bool) -> PredictionOut:
        ranked = sorted(zip(self._labels, prediction.scores, strict=True), key=lambda pair: -pair[1])
        groups: dict[str, float] = {}
        for label, score in ranked:
            groups[label["group"]] = groups.get(label["group"], 0.0) + score
        return PredictionOut(
            label=self._by_id[ranked[0][0]["id"]],
            confidence=prediction.confidence,
            labels=[LabelScoreOut(id=label["id"], score=score) for label, score in ranked[: self._top_k]],
            groups=[
                LabelScoreOut(id=group, score=min(score, 1.0))
                for group, score in sorted(groups.items(), key=lambda pair: -pair[1])
            ],
            model=self._model,
            reused=reused,
        )

    def _region_out(self, region: ItemRegion) -> RegionOut:
        prediction = region.prediction
        return RegionOut(
            name=region.name,
            box=crop_out(Crop.from_key(region.crop_key)),
            prediction=None if prediction is None else self._prediction_out(prediction, region.reused),
            explanation=None
            if prediction is None
            else f"/v1/items/{region.item_id}/explanation?region={quote(region.name, safe='')}",
        )

    @staticmethod
    def _error_out(item: Item) -> ErrorOut | None:
        if item.error_code is None:
            return None
        return ErrorOut(code=item.error_code, detail=item.error_detail or "", retryable=bool(item.error_retryable))


def _label_ref(row: Mapping[str, Any]) -> LabelRefOut:
    return LabelRefOut(id=row["id"], name=row["name"]["en"], group=row["group"])


def crop_out(crop: Crop | None) -> CropIn | None:
    return None if crop is None else CropIn(x=crop.x, y=crop.y, width=crop.width, height=crop.height)


def _source_out(item: Item) -> SourceOut:
    provenance = item.provenance or {}
    return SourceOut(
        name=item.source_name,
        url=item.source_url,
        page_url=provenance.get("page_url"),
        alt=provenance.get("alt"),
        query=provenance.get("query"),
        label=provenance.get("label"),
        rank=provenance.get("rank"),
        rule=provenance.get("rule"),
    )


def product_out(product_id: str | None, product: Mapping[str, Any] | None) -> ProductOut | None:
    return None if product is None else ProductOut(**{**product, "product_id": product_id})


def thumbnail_path(item_id: str) -> str:
    return f"/v1/items/{item_id}/thumbnail"


def label_counts_out(job: Job, summary: Summary) -> tuple[list[LabelCountOut], list[GroupCountOut]]:
    """Return the labels and groups that occur among the items, most frequent first."""
    label_names = {label["id"]: label["name"]["en"] for label in labels_of(job)}
    group_names = {group["id"]: group["name"]["en"] for group in groups_of(job)}
    by_group: dict[str, tuple[int, float]] = {}
    for row in summary.labels:
        count, total = by_group.get(row.group, (0, 0.0))
        by_group[row.group] = (count + row.count, total + row.confidence_sum)
    labels = [
        LabelCountOut(
            id=row.label,
            name=label_names[row.label],
            group=row.group,
            count=row.count,
            mean_confidence=row.confidence_sum / row.count,
        )
        for row in sorted(summary.labels, key=lambda row: -row.count)
    ]
    groups = [
        GroupCountOut(id=group, name=group_names[group], count=count, mean_confidence=total / count)
        for group, (count, total) in sorted(by_group.items(), key=lambda pair: -pair[1][0])
    ]
    return labels, groups


def delivery_out(delivery: Delivery) -> DeliveryOut:
    return DeliveryOut.model_validate(delivery, from_attributes=True)


def key_out(key: ApiKey) -> KeyOut:
    return KeyOut.model_validate(key, from_attributes=True)


def labels_and_groups_out(version: ModelVersion) -> tuple[list[LabelOut], list[GroupOut]]:
    labels = [
        LabelOut(id=row["id"], name=row["name"]["en"], group=row["group"], names=NamesOut(**row["name"]))
        for row in version.taxonomy["labels"]
    ]
    groups = [
        GroupOut(id=row["id"], name=row["name"]["en"], names=NamesOut(**row["name"]))
        for row in version.taxonomy["groups"]
    ]
    return labels, groups


def model_version_out(version: ModelVersion, aliases: dict[str, str]) -> ModelVersionOut:
    return ModelVersionOut(**_model_members(version, aliases))


def model_version_detail_out(version: ModelVersion, aliases: dict[str, str]) -> ModelVersionDetailOut:
    labels, groups = labels_and_groups_out(version)
    return ModelVersionDetailOut(**_model_members(version, aliases), labels=labels, groups=groups, card=version.card)


def _model_members(version: ModelVersion, aliases: dict[str, str]) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "aliases": [alias for alias, ref in aliases.items() if ref == version.ref],
        "digest": version.digest,
        "input": version.input,
        "metrics": version.metrics,
        "created_at": version.created_at,
    }
