"""The client's dataclasses compared with the OpenAPI document: every member of every answer, and which can be null."""

from __future__ import annotations

from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from api.app import create_app
from core.settings import Settings
from lookbook import (
    answers,
    comparison_answers,
    crawl_answers,
    hint_answers,
    key_answers,
    label_answers,
    map_answers,
    model_answers,
    product_answers,
    search_answers,
    teaching_answers,
    trust_answers,
)
from lookbook.answer import Answer

SCHEMAS = {
    answers.FailureCount: "FailureCountOut",
    answers.Failure: "ErrorOut",
    answers.Counts: "CountsOut",
    answers.ModelRef: "ModelOut",
    answers.Owner: "OwnerOut",
    answers.JobState: "JobOut",
    crawl_answers.Crawl: "CrawlOut",
    crawl_answers.CrawlLimits: "CrawlLimitsOut",
    crawl_answers.UrlCounts: "UrlCountsOut",
    crawl_answers.Waiting: "WaitingOut",
    crawl_answers.Changes: "ChangesOut",
    crawl_answers.CrawlUrl: "CrawlUrlOut",
    crawl_answers.Reason: "ReasonOut",
    answers.Share: "ShareOut",
    answers.NewShare: "NewShareOut",
    answers.Source: "SourceOut",
    answers.Image: "ImageOut",
    answers.Crop: "CropIn",
    product_answers.LabelRef: "LabelRefOut",
    answers.Scored: "LabelScoreOut",
    answers.Prediction: "PredictionOut",
    answers.Region: "RegionOut",
    answers.Review: "ReviewOut",
    answers.Accepted: "AcceptedOut",
    answers.ItemReview: "ItemReviewOut",
    answers.ReviewChange: "ReviewChangeOut",
    answers.ChangedReviews: "ChangedReviewsOut",
    label_answers.NamedEntries: "NamedEntriesOut",
    label_answers.ImportedReviews: "ImportedReviewsOut",
    label_answers.PictureUrls: "PictureUrlsOut",
    answers.Item: "ItemOut",
    hint_answers.Hint: "HintOut",
    hint_answers.Hints: "HintsOut",
    trust_answers.Estimate: "EstimateOut",
    trust_answers.LabelTrust: "LabelTrustOut",
    trust_answers.Stratum: "StratumOut",
    trust_answers.Acceptance: "AcceptanceOut",
    trust_answers.Trust: "TrustOut",
    answers.LabelCount: "LabelCountOut",
    answers.GroupCount: "GroupCountOut",
    answers.ErrorCount: "ErrorCountOut",
    answers.Summary: "SummaryOut",
    answers.Delivery: "DeliveryOut",
    teaching_answers.OwnTaxonomy: "OwnTaxonomyOut",
    teaching_answers.TaughtLabel: "TaughtLabelOut",
    teaching_answers.CurvePoint: "CurvePointOut",
    teaching_answers.Advice: "AdviceOut",
    teaching_answers.FineTuning: "FineTuningOut",
    teaching_answers.Taught: "TaughtOut",
    teaching_answers.Calibrated: "CalibratedOut",
    teaching_answers.Flow: "FlowOut",
    teaching_answers.Rescored: "RescoredOut",
    teaching_answers.Lesson: "LessonOut",
    model_answers.Names: "NamesOut",
    model_answers.Group: "GroupOut",
    model_answers.Label: "LabelOut",
    model_answers.Labels: "LabelsOut",
    model_answers.ModelVersion: "ModelVersionOut",
    model_answers.ModelVersionDetail: "ModelVersionDetailOut",
    model_answers.Confusion: "ConfusionOut",
    model_answers.ReviewedJob: "ReviewedJobOut",
    model_answers.LoadFailure: "LoadFailureOut",
    model_answers.Promotion: "PromotionOut",
    model_answers.DriftWeek: "DriftWeekOut",
    model_answers.Expected: "ExpectedOut",
    model_answers.ModelDrift: "ModelDriftOut",
    model_answers.JobDrift: "JobDriftOut",
    model_answers.Shadow: "ShadowOut",
    model_answers.LabelFlip: "LabelFlipOut",
    map_answers.NoMap: "NoMapOut",
    map_answers.MapState: "MapOut",
    map_answers.MapPoints: "MapPointsOut",
    comparison_answers.LabelChange: "LabelChangeOut",
    comparison_answers.Comparison: "ComparisonOut",
    comparison_answers.Pair: "PairOut",
    product_answers.Photo: "PhotoOut",
    product_answers.Product: "ProductOut",
    product_answers.ProductVerdict: "ProductVerdictOut",
    search_answers.LookAlike: "LookAlikeOut",
    search_answers.LookAlikes: "LookAlikesOut",
    search_answers.SearchResult: "SearchOut",
    search_answers.ItemDuplicate: "ItemDuplicateOut",
    key_answers.Key: "KeyOut",
    key_answers.NewKey: "NewKeyOut",
    key_answers.Amount: "AmountOut",
    key_answers.Day: "DayOut",
    key_answers.Usage: "UsageOut",
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("home")
    spec = create_app(Settings(home=home, redis_url=f"unix://{home / 'none.sock'}")).spec
    assert isinstance(spec, dict)
    schemas: dict[str, Any] = spec["components"]["schemas"]
    return schemas


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
def test_the_client_has_every_member_and_knows_which_can_be_null(kind: type[Answer], schemas: dict[str, Any]) -> None:
    properties = schemas[SCHEMAS[kind]]["properties"]
    served = {name: _may_be_null(schema) for name, schema in properties.items()}
    hints = {name.removesuffix("_"): hint for name, hint in get_type_hints(kind).items() if name != "raw"}
    known = {name: NoneType in get_args(hint) for name, hint in hints.items()}
    assert known == served, f"lookbook/answers.py: {kind.__name__}"


def test_every_dataclass_of_the_client_is_compared_with_a_schema() -> None:
    modules = (
        answers,
        comparison_answers,
        crawl_answers,
        hint_answers,
        key_answers,
        label_answers,
        map_answers,
        model_answers,
        product_answers,
        search_answers,
        teaching_answers,
        trust_answers,
    )
    members = [member for module in modules for member in vars(module).values()]
    dataclasses = {member for member in members if isinstance(member, type) and issubclass(member, Answer)}
    # The members of `Drift` are compared in the answers that inherit from it.
    assert dataclasses - {Answer, model_answers.Drift} == SCHEMAS.keys()


def _may_be_null(schema: dict[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in schema.get("anyOf", []))
