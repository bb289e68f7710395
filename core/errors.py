"""All errors that Lookbook raises on purpose. They share the base class `LookbookError`.

Rules for a new error: derive it from `LookbookError`, or from `ItemError` if it fails a single item. Give it a `code`
in snake case, which never changes after a release. Set `retryable` if another attempt can succeed. The first line of
its docstring is the message that users read when the code that raises it gives no detail.
"""

from __future__ import annotations

from typing import ClassVar

_MAX_EXCERPT = 80
"""Maximum number of characters that `quoted_excerpt` keeps."""


def quoted_excerpt(value: object) -> str:
    """Return the beginning of a text or another value in quotes and with escapes, for use in an error."""
    quoted = repr(value)
    return quoted if len(quoted) <= _MAX_EXCERPT else quoted[:_MAX_EXCERPT] + "…"


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


class DatabaseUnusable(LookbookError):
    """The database cannot be used as it is."""

    code = "database_unusable"


class AlreadyRunning(LookbookError):
    """Another Lookbook process already uses this data folder. Stop that process or choose another folder."""

    code = "already_running"


class PortTaken(LookbookError):
    """Another program already listens on this port. Stop that program or choose another port."""

    code = "port_taken"


class BlobMissing(LookbookError):
    """The store has no blob with this SHA-256. Upload the picture again."""

    code = "picture_lost"
    retryable = True


class BlobDamaged(BlobMissing):
    """The stored bytes do not have this SHA-256. They have been set aside, so the store no longer has the blob."""


class StorageFull(LookbookError):
    """The storage is full. Free some space, then try again."""

    code = "insufficient_storage"
    retryable = True


class Unavailable(LookbookError):
    """Part of the service does not respond. Try again later."""

    code = "unavailable"
    retryable = True


class BrokerUnavailable(Unavailable):
    """Redis does not respond. Check that it runs, then try again."""

    code = "broker_unavailable"


class BlobStoreUnavailable(Unavailable):
    """The blob store does not respond. Check that it is reachable, then try again."""

    code = "blob_store_unavailable"


class ModelUnknown(LookbookError):
    """No model has this name, version or alias."""

    code = "unknown_model"


class LeaseLost(LookbookError):
    """Another worker holds this work now, or the job was canceled or removed.

    Code that catches it has left the transaction, which is therefore rolled back.
    """

    code = "lease_lost"


class JobFinished(LookbookError):
    """The job is finished already."""

    code = "job_over"


class JobNotFinished(LookbookError):
    """The job is not finished yet. Wait for it or cancel it first."""

    code = "job_not_over"


class JobNotOpen(LookbookError):
    """The job takes no further pictures."""

    code = "job_not_open"


class WrongPosition(LookbookError):
    """The job has more or fewer items than the request expects."""

    code = "wrong_position"


class RequestInProgress(LookbookError):
    """An earlier request with the same Idempotency-Key is still running. Wait, then send the request again."""

    code = "request_in_progress"
    retryable = True


class QuotaExceeded(LookbookError):
    """The key has used up its quota of pictures for this month."""

    code = "quota_exceeded"
    retryable = True

    def __init__(self, detail: str, pictures_left: int = 0) -> None:
        super().__init__(detail)
        self.pictures_left = pictures_left
        """The number of pictures that the key may still submit this month."""


class NothingToRetry(LookbookError):
    """The job has no failed item that can be tried again."""

    code = "nothing_to_retry"


class NotReviewable(LookbookError):
    """The item has no prediction to review."""

    code = "not_reviewable"


class ExportBroken(LookbookError):
    """The job was removed during the export, so the file is incomplete."""

    code = "export_broken"


class ArtifactInvalid(LookbookError):
    """The model artifact does not match its manifest."""

    code = "artifact_invalid"


class RuntimeUnavailable(LookbookError):
    """The requested runtime is not installed."""

    code = "runtime_unavailable"


class UnsupportedVersion(LookbookError):
    """A server is older than the oldest version that Lookbook supports."""

    code = "unsupported_version"


class DatasetInvalid(LookbookError):
    """The folder of training pictures does not have the structure that training expects."""

    code = "dataset_invalid"


class RunUnknown(LookbookError):
    """There is no training run with this id."""

    code = "run_unknown"


class RunInvalid(LookbookError):
    """The training run is not in a state in which this is possible."""

    code = "run_invalid"


class NetworkInvalid(LookbookError):
    """The network cannot be built as the recipe describes it."""

    code = "network_invalid"


class WeightsUnavailable(LookbookError):
    """The weights that the network should start from cannot be loaded."""

    code = "weights_unavailable"


class RecipeInvalid(LookbookError):
    """The site recipe cannot be used."""

    code = "recipe_invalid"


class ItemError(LookbookError):
    """This item could not be classified. The other items are not affected."""

    code = "decode_failed"


class NothingFound(ItemError):
    """The crawl found no pictures of products."""

    code = "empty"


class CookieWall(NothingFound):
    """The shop shows its pages only after the visitor agrees to its terms, so the crawl could not read them."""

    code = "cookie_wall"


class CrawlForbidden(NothingFound):
    """The shop's robots.txt does not allow crawling."""

    code = "blocked_by_robots"


class ShopUnreachable(NothingFound):
    """The crawl could not load any page of the shop."""

    code = "unreachable"
    retryable = True


class CrawlBrokenOff(ItemError):
    """The crawl stopped before it was complete."""

    code = "broken_off"
    retryable = True


class PictureLost(ItemError):
    """The stored bytes of the picture are missing or damaged. Upload it again, then retry."""

    code = "picture_lost"
    retryable = True


class NotAnImage(ItemError):
    """The file is not a picture in a known format."""

    code = "not_an_image"


class EmptyFile(ItemError):
    """The file is empty."""

    code = "empty_file"


class UnsupportedFormat(ItemError):
    """The picture is in a format that Lookbook does not accept."""

    code = "unsupported_format"


class TruncatedImage(ItemError):
    """The picture is incomplete: its data ends too early."""

    code = "truncated_image"


class PlaceholderPicture(ItemError):
    """The picture stands in place of one that is gone, so that it shows no product."""

    code = "placeholder"


class TooManyPixels(ItemError):
    """The picture has more pixels than Lookbook accepts."""

    code = "too_many_pixels"


class TooLarge(ItemError):
    """The file is larger than Lookbook accepts."""

    code = "too_large"


class FetchFailed(ItemError):
    """The URL could not be fetched."""

    code = "fetch_failed"
    retryable = True


class FetchRefused(FetchFailed):
    """The server's response is not what was expected, and another attempt would not change it."""

    retryable = False


class FetchForbidden(ItemError):
    """Lookbook does not fetch this URL."""

    code = "fetch_forbidden"


class FetchTooSlow(ItemError):
    """The transfer did not finish before its deadline."""

    code = "fetch_too_slow"
    retryable = True


class PageNotDrawn(ItemError):
    """The browser could not draw the page."""

    code = "page_not_drawn"


class BlockedAddress(ItemError):
    """The URL leads to an IP address that is not public."""

    code = "blocked_address"


class DecodeFailed(ItemError):
    """The picture could not be decoded."""

    code = "decode_failed"


class DecodeTimeout(ItemError):
    """The picture took too long to decode."""

    code = "decode_timeout"


class BadCrop(ItemError):
    """The crop is not inside the picture."""

    code = "bad_crop"


class RegionsNotTaken(ItemError):
    """The model takes no regions."""

    code = "regions_not_taken"


class ArchiveUnsafe(ItemError):
    """This part of the archive cannot be read safely."""

    code = "archive_unsafe"


class BadManifest(ItemError):
    """The manifest cannot be read."""

    code = "bad_manifest"


class BadRow(ItemError):
    """This row of the manifest cannot be read."""

    code = "bad_row"


class OverQuota(ItemError):
    """The key has used up its quota of pictures for this month."""

    code = QuotaExceeded.code
    retryable = True


class EmptySource(ItemError):
    """The archive or manifest contains no pictures."""

    code = "empty_source"


class ModelFailed(ItemError):
    """The model failed on this picture."""

    code = "model_error"
    retryable = True


class SourceEnded(LookbookError):
    """The rest of an archive or manifest cannot be read, because of `reason`.

    A last failed item gets this error. If the source gave no items, the job fails with it instead.
    """

    code = "source_ended"

    def __init__(self, reason: ItemError) -> None:
        super().__init__(reason.detail)
        self.reason = reason
