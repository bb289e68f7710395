"""All errors that fail a single item of a job, or its source. The rules for errors are those of `core.errors`."""

from __future__ import annotations

from core.errors import LookbookError, QuotaExceeded


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


class TooMuchMemory(ItemError):
    """Decoding the picture needs more memory than LOOKBOOK_DECODE_MEGABYTES allows."""

    code = "too_much_memory"


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
