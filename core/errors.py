"""The errors that Lookbook raises on purpose. They share the base class `LookbookError`.

Those that fail a single item are in `core.item_errors`. Rules for a new error: derive it from `LookbookError`, or from
`ItemError` there. Give it a `code` in snake case, which never changes after a release. Set `retryable` if another
attempt can succeed. The first line of its docstring is the message that users read when the code that raises it gives
no detail.
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
    """The owner has used up its quota of pictures for this month."""

    code = "quota_exceeded"
    retryable = True

    def __init__(self, detail: str, pictures_left: int = 0) -> None:
        super().__init__(detail)
        self.pictures_left = pictures_left
        """The number of pictures that the owner may still submit this month."""


class BadOwner(LookbookError):
    """No owner of keys can have this name."""

    code = "bad_owner"


class KeyEnded(LookbookError):
    """The key is revoked or has expired, and cannot be replaced by a new one."""

    code = "key_ended"


class NothingToRetry(LookbookError):
    """The job has no failed item that can be tried again."""

    code = "nothing_to_retry"


class NotReviewable(LookbookError):
    """The item has no prediction to review."""

    code = "not_reviewable"


class LabelInUse(LookbookError):
    """A label cannot be removed from a taxonomy, because reviews give it."""

    code = "label_in_use"


class LessonRefused(LookbookError):
    """There is nothing to learn from these jobs, or the model cannot be taught."""

    code = "lesson_refused"


class ShadowRefused(LookbookError):
    """A shadow run of this model version would compare it with itself."""

    code = "already_production"


class LayoutFailed(LookbookError):
    """The process that lays out the pictures of a map has ended without a result."""

    code = "layout_failed"


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
