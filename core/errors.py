"""Every error that Lookbook raises on purpose, under one base.

Rules for adding one: derive from `LookbookError` (or from `ItemError` when it ends one item), give it a `code` in
snake case that never changes once released, say whether trying again can help (`retryable`), and let the docstring's
first line be the message that people read when none is given.
"""

from __future__ import annotations

from typing import ClassVar


class LookbookError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or self.code).splitlines()[0])

    @property
    def detail(self) -> str:
        return str(self.args[0])


class SettingsError(LookbookError):
    """A setting has a value that cannot be used."""

    code = "bad_setting"


class AlreadyRunning(LookbookError):
    """Another Lookbook already works on this data folder."""

    code = "already_running"


class PortTaken(LookbookError):
    """Another program already listens on this port."""

    code = "port_taken"


class BlobMissing(LookbookError):
    """No blob with this SHA-256 is in the store."""

    code = "blob_missing"
    retryable = True


class StorageFull(LookbookError):
    """There is no room left to store this."""

    code = "insufficient_storage"
    retryable = True


class Unavailable(LookbookError):
    """Part of the service does not answer."""

    code = "unavailable"
    retryable = True


class BrokerUnavailable(Unavailable):
    """Redis does not answer."""

    code = "broker_unavailable"


class BlobStoreUnavailable(Unavailable):
    """The blob store does not answer."""

    code = "blob_store_unavailable"


class ModelUnknown(LookbookError):
    """No model has this name, version or alias."""

    code = "unknown_model"


class LeaseLost(LookbookError):
    """Another worker holds this work now, or its job is canceled or gone. Roll the transaction back."""

    code = "lease_lost"


class JobOver(LookbookError):
    """The job is over."""

    code = "job_over"


class JobNotOver(LookbookError):
    """The job is not over."""

    code = "job_not_over"


class RequestInProgress(LookbookError):
    """An earlier request with the same Idempotency-Key is still running."""

    code = "request_in_progress"
    retryable = True


class QuotaExceeded(LookbookError):
    """The key has no pictures left for this month."""

    code = "quota_exceeded"
    retryable = True

    def __init__(self, detail: str, pictures_left: int = 0) -> None:
        super().__init__(detail)
        self.pictures_left = pictures_left
        """Pictures that the key may still submit."""


class NothingToRetry(LookbookError):
    """No failed item of the job can be tried again."""

    code = "nothing_to_retry"


class NotReviewable(LookbookError):
    """The item has no prediction that could be reviewed."""

    code = "not_reviewable"


class ExportBroken(LookbookError):
    """The job was removed while it was being exported."""

    code = "export_broken"


class ArtifactInvalid(LookbookError):
    """A model artifact does not hold what its manifest says."""

    code = "artifact_invalid"


class RuntimeUnavailable(LookbookError):
    """The runtime that was asked for is not installed."""

    code = "runtime_unavailable"


class UnsupportedVersion(LookbookError):
    """A server is older than the oldest version that Lookbook supports."""

    code = "unsupported_version"


class DatasetInvalid(LookbookError):
    """A folder of training pictures is not in the form that training expects."""

    code = "dataset_invalid"


class RecipeInvalid(LookbookError):
    """A site recipe cannot be used."""

    code = "recipe_invalid"


class ItemError(LookbookError):
    """One item cannot be classified; the others go on."""

    code = "decode_failed"


class NothingFound(ItemError):
    """The crawl found no picture."""

    code = "empty"


class CookieWall(NothingFound):
    """The shop shows its pages only to those who agree to its terms first."""

    code = "cookie_wall"


class CrawlForbidden(NothingFound):
    """The shop's robots.txt forbids it."""

    code = "blocked_by_robots"


class ShopUnreachable(NothingFound):
    """No page could be had."""

    code = "unreachable"
    retryable = True


class CrawlBrokenOff(ItemError):
    """The crawl could not be brought to its end."""

    code = "broken_off"
    retryable = True


class NotAnImage(ItemError):
    """The bytes are not a picture in any format that we know."""

    code = "not_an_image"


class UnsupportedFormat(ItemError):
    """The bytes are a picture, but in a format that is not accepted."""

    code = "unsupported_format"


class TruncatedImage(ItemError):
    """The picture ends before its data is complete."""

    code = "truncated_image"


class TooManyPixels(ItemError):
    """The picture's header announces more pixels than are accepted."""

    code = "too_many_pixels"


class TooLarge(ItemError):
    """The file has more bytes than are accepted."""

    code = "too_large"


class FetchFailed(ItemError):
    """The URL could not be fetched."""

    code = "fetch_failed"
    retryable = True


class FetchRefused(FetchFailed):
    """The server's answer is final, and it is not what was asked for."""

    retryable = False


class FetchForbidden(ItemError):
    """This URL is not one that may be fetched."""

    code = "fetch_forbidden"


class FetchTooSlow(ItemError):
    """The transfer did not end within its deadline."""

    code = "fetch_too_slow"
    retryable = True


class BlockedAddress(ItemError):
    """The URL leads to an address that is not public."""

    code = "blocked_address"


class DecodeFailed(ItemError):
    """The picture could not be decoded."""

    code = "decode_failed"


class DecodeTimeout(ItemError):
    """Decoding the picture took longer than its deadline."""

    code = "decode_timeout"


class BadCrop(ItemError):
    """The crop does not lie within the picture."""

    code = "bad_crop"


class ArchiveUnsafe(ItemError):
    """This cannot be read from the archive safely."""

    code = "archive_unsafe"


class BadManifest(ItemError):
    """The manifest cannot be read."""

    code = "bad_manifest"


class BadRow(ItemError):
    """This row of the manifest cannot be understood."""

    code = "bad_row"


class OverQuota(ItemError):
    """The key has no pictures left for this month."""

    code = QuotaExceeded.code
    retryable = True


class EmptySource(ItemError):
    """There is nothing to classify in it."""

    code = "empty_source"


class ModelFailed(ItemError):
    """The model failed on this picture."""

    code = "model_error"
    retryable = True


class SourceEnded(LookbookError):
    """An archive or manifest cannot be read any further; `reason` is what its job says of it."""

    code = "source_ended"

    def __init__(self, reason: ItemError) -> None:
        super().__init__(reason.detail)
        self.reason = reason
