"""The tables. The database is the source of truth: everything that Redis loses is restored from it."""

from core.types import Scope
from db.tables.access import ApiKey, EndedSession, IdempotentRequest, UsageDay
from db.tables.base import Base, UtcDateTime
from db.tables.crawls import Crawl, CrawlPriority, CrawlUrl, Lane, UrlKind, UrlReason, UrlState
from db.tables.items import Blob, BlobBands, Item, ItemRegion, ItemStatus, ItemText, Prediction, Review
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
from db.tables.model_versions import ModelAlias, ModelVersion
from db.tables.products import Product
from db.tables.shares import Share
from db.tables.webhooks import Delivery, DeliveryStatus, JobEvent, Secret

__all__ = [
    "FINISHED",
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
    "IdempotentRequest",
    "Item",
    "ItemRegion",
    "ItemStatus",
    "ItemText",
    "Job",
    "JobEvent",
    "JobSource",
    "JobStatus",
    "LabelTally",
    "Lane",
    "ModelAlias",
    "ModelVersion",
    "Prediction",
    "Priority",
    "Product",
    "Review",
    "Scope",
    "Secret",
    "Share",
    "Stage",
    "UrlKind",
    "UrlReason",
    "UrlState",
    "UsageDay",
    "UtcDateTime",
]
