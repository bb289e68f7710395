"""The tables. The database is the source of truth: everything that Redis loses is restored from it."""

from core.types import Scope
from db.tables.acceptances import Acceptance
from db.tables.access import ApiKey, EndedSession, IdempotentRequest, UsageDay
from db.tables.base import Base, UtcDateTime
from db.tables.crawls import Crawl, CrawlPriority, CrawlUrl, Lane, UrlKind, UrlReason, UrlState
from db.tables.hints import HintKind, HintRun, ItemHint
from db.tables.items import Blob, BlobBands, Item, ItemRegion, ItemStatus, ItemText, Prediction, Review, Vector
from db.tables.jobs import (
    FINISHED,
    Chunk,
    Discovery,
    ErrorTally,
    Job,
    JobSource,
    JobStatus,
    LabelTally,
    Priority,
    Stage,
)
from db.tables.maps import JobMap
from db.tables.model_versions import ModelAlias, ModelVersion
from db.tables.products import Product
from db.tables.shadows import ShadowPicture, ShadowRun
from db.tables.shares import Share
from db.tables.teaching import Lesson, LessonKind, LessonStatus, OwnTaxonomy
from db.tables.webhooks import Delivery, DeliveryStatus, JobEvent, Secret

__all__ = [
    "FINISHED",
    "Acceptance",
    "ApiKey",
    "Base",
    "Blob",
    "BlobBands",
    "Chunk",
    "Crawl",
    "CrawlPriority",
    "CrawlUrl",
    "Delivery",
    "DeliveryStatus",
    "Discovery",
    "EndedSession",
    "ErrorTally",
    "HintKind",
    "HintRun",
    "IdempotentRequest",
    "Item",
    "ItemHint",
    "ItemRegion",
    "ItemStatus",
    "ItemText",
    "Job",
    "JobEvent",
    "JobMap",
    "JobSource",
    "JobStatus",
    "LabelTally",
    "Lane",
    "Lesson",
    "LessonKind",
    "LessonStatus",
    "ModelAlias",
    "ModelVersion",
    "OwnTaxonomy",
    "Prediction",
    "Priority",
    "Product",
    "Review",
    "Scope",
    "Secret",
    "ShadowPicture",
    "ShadowRun",
    "Share",
    "Stage",
    "UrlKind",
    "UrlReason",
    "UrlState",
    "UsageDay",
    "UtcDateTime",
    "Vector",
]
