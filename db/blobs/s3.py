"""Blobs in a bucket of Amazon S3, or of another service with the same protocol."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from core.errors import BlobMissing, BlobStoreUnavailable, StorageFull
from db.blobs.spool import BlobWriter, storage_error
from db.blobs.store import DAMAGED, checked_name, checked_sha256, damaged_error

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import ReadableFile
    from obstore.store import ClientConfig, RetryConfig, S3Config

MAX_CALLS = 32
"""Calls that one process makes to the bucket at the same time. Each holds at most one blob in memory."""
MAX_CALLS_PER_REQUEST = 16
"""Calls that one request makes at the same time. A request of two thousand pictures then leaves calls for others."""
MAX_SINGLE_PUT_BYTES = 32 * 2**20
"""Size up to which a blob is uploaded by one call. Pictures are never larger, archives are, and are sent in parts."""

_PART_BYTES, _MAX_PARTS_AT_ONCE = 16 * 2**20, 4
_CALL_SECONDS, _RETRY_SECONDS = 15.0, 5.0
_CLIENT: ClientConfig = {
    # Allows endpoints such as http://minio:9000. Their URL shows that the connection is not encrypted.
    "allow_http": True,
    "connect_timeout": timedelta(seconds=2),
    "timeout": timedelta(seconds=_CALL_SECONDS),
}
_RETRIES: RetryConfig = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
_ABSENT_SHA256 = "0" * 64


class S3BlobStore:
    """Keeps a blob as the object `ab/abcd…` under the URL's prefix, and its derived files under `derived/ab/abcd…/`.

    Endpoint, region and credentials come from the `AWS_*` environment variables, as with other S3 clients. Only the
    secret key may come from the settings, so that it can be read from a file.
    """

    is_remote: ClassVar[bool] = True
    max_call_seconds: ClassVar[float] = _CALL_SECONDS + _RETRY_SECONDS + 1

    def __init__(self, url: str, spool: Path, secret_key: str = "") -> None:
        """Open the bucket at `url`. `spool` is the local folder for blobs that are being written.

        `secret_key` replaces the secret key of the environment, unless it is empty.
        """
        self._url = url
        self._spool = spool
        spool.mkdir(parents=True, exist_ok=True)
        self._secret_key = secret_key
        config: S3Config = {"secret_access_key": secret_key} if secret_key else {}
        self._bucket = S3Store.from_url(url, config=config, client_options=_CLIENT, retry_config=_RETRIES)
        self._pool = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="blobs")

    def __reduce__(self) -> tuple[type[S3BlobStore], tuple[str, Path, str]]:
        return type(self), (self._url, self._spool, self._secret_key)

    def writer(self) -> BlobWriter:
        return BlobWriter(self._spool)

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        self._each(self._put, writers)

    def ensure(self, writers: Sequence[BlobWriter]) -> None:
        # Only found blobs are checked, because a check costs as much as a put. A blob that `commit` has just created
        # can be gone only if a purger died between deleting its bytes and its commit, and has just repeated that.
        self._each(self._put_if_gone, [writer for writer in writers if writer.found])

    def put(self, data: bytes) -> str:
        writer = self.writer()
        try:
            writer.write(data)
            sha256 = writer.finish()
            self._put(writer)
            return sha256
        finally:
            writer.abort()

    def open(self, sha256: str) -> IO[bytes]:
        with _translated_errors(sha256):
            return io.BufferedReader(_ObjectFile(obstore.open_reader(self._bucket, _key(sha256))))

    def presigned_url(self, sha256: str, life: timedelta) -> str | None:
        with _translated_errors(sha256):
            return obstore.sign(self._bucket, "GET", _key(sha256), life)

    def read(self, sha256: str) -> bytes:
        with _translated_errors(sha256):
            data = bytes(obstore.get(self._bucket, _key(sha256)).bytes())
        if hashlib.sha256(data).hexdigest() != sha256:
            self.check(sha256)
        return data

    def check(self, sha256: str) -> None:
        if self._set_aside_if_damaged(sha256):
            raise damaged_error(sha256)

    def read_all(self, sha256s: Sequence[str]) -> Iterator[bytes]:
        return self._pool.map(self.read, sha256s)

    def read_derived(self, sha256: str, name: str) -> bytes | None:
        try:
            with _translated_errors(sha256):
                return bytes(obstore.get(self._bucket, _derived_key(sha256, name)).bytes())
        except BlobMissing:
            return None

    def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        key = _derived_key(sha256, name)
        with _translated_errors(sha256):
            obstore.put(self._bucket, key, data)
            if not self._has(sha256):
                obstore.delete(self._bucket, key)

    def delete(self, sha256s: Sequence[str]) -> None:
        with _translated_errors():
            obstore.delete(self._bucket, [_key(sha256) for sha256 in sha256s])
            derived = [key for keys in self._each(self._derived_keys, sha256s) for key in keys]
            obstore.delete(self._bucket, derived)

    def ping(self) -> None:
        with suppress(BlobMissing):
            self.read(_ABSENT_SHA256)

    def _each(self, call: Callable[[Any], Any], arguments: Sequence[Any]) -> list[Any]:
        results: list[Any] = []
        for start in range(0, len(arguments), MAX_CALLS_PER_REQUEST):
            results += self._pool.map(call, arguments[start : start + MAX_CALLS_PER_REQUEST])
        return results

    def _put(self, writer: BlobWriter) -> None:
        if writer.bytes_written > MAX_SINGLE_PUT_BYTES:
            self._put_in_parts(writer)
            return
        try:
            data = Path(writer.path).read_bytes()
        except OSError as error:
            raise storage_error(error) from error
        try:
            with _translated_errors(writer.sha256):
                obstore.put(self._bucket, _key(writer.sha256), data, mode="create")
            writer.created = True
        except FileExistsError:
            if self._set_aside_if_damaged(writer.sha256):
                self._put(writer)
            else:
                writer.found = True

    def _put_in_parts(self, writer: BlobWriter) -> None:
        """Put an archive of gigabytes. Two calls that put the same one at the same time write the same bytes."""
        with _translated_errors(writer.sha256):
            writer.found = self._has(writer.sha256) and not self._set_aside_if_damaged(writer.sha256)
            if not writer.found:
                key, path = _key(writer.sha256), Path(writer.path)
                obstore.put(
                    self._bucket,
                    key,
                    path,
                    use_multipart=True,
                    chunk_size=_PART_BYTES,
                    max_concurrency=_MAX_PARTS_AT_ONCE,
                )
                writer.created = True

    def _set_aside_if_damaged(self, sha256: str) -> bool:
        """Move a blob out of the way if its bytes have another SHA-256. Return whether it was moved.

        The objects that were made from it are removed, because they may show the wrong bytes.
        """
        if self._digest(_key(sha256), sha256) == sha256:
            return False
        aside = f"{DAMAGED}/{sha256}"
        with _translated_errors(sha256):
            obstore.rename(self._bucket, _key(sha256), aside)
        if self._digest(aside, sha256) == sha256:
            # Another process has put the right bytes meanwhile.
            with _translated_errors(sha256):
                obstore.rename(self._bucket, aside, _key(sha256))
            return False
        derived = self._derived_keys(sha256)
        with _translated_errors(sha256):
            obstore.delete(self._bucket, derived)
        return True

    def _digest(self, key: str, sha256: str) -> str:
        digest = hashlib.sha256()
        with _translated_errors(sha256):
            for block in obstore.get(self._bucket, key).stream():
                digest.update(block)
        return digest.hexdigest()

    def _put_if_gone(self, writer: BlobWriter) -> None:
        with _translated_errors(writer.sha256):
            gone = not self._has(writer.sha256)
        if gone:
            self._put(writer)

    def _has(self, sha256: str) -> bool:
        try:
            obstore.head(self._bucket, _key(sha256))
        except FileNotFoundError:
            return False
        return True

    def _derived_keys(self, sha256: str) -> list[str]:
        with _translated_errors(sha256):
            listed = obstore.list(self._bucket, _derived_key(sha256), chunk_size=1000)
            return [found["path"] for found in listed.collect()]


class _ObjectFile(io.RawIOBase):
    """An object of the bucket as a file that can be read and seeked in."""

    def __init__(self, reader: ReadableFile) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer)
        with _translated_errors():
            data = self._reader.read(len(into))
        into[: len(data)] = memoryview(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _translated_errors():
            return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


@contextmanager
def _translated_errors(sha256: str = "") -> Iterator[None]:
    """Translate the S3 client's errors into Lookbook's.

    Raises:
        BlobMissing, BlobStoreUnavailable, StorageFull: The call failed for that reason.
        FileExistsError: The object was to be created, and exists already.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError) as error:
        raise FileExistsError(sha256) from error
    except (BaseError, FileNotFoundError) as error:
        message = str(error).split("\n\nDebug source:", maxsplit=1)[0]
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in message:
            raise BlobMissing(f"no blob {sha256} in the store") from error
        if "507 Insufficient Storage" in message or "StorageFull" in message or "QuotaExceeded" in message:
            raise StorageFull from error
        raise BlobStoreUnavailable(f"the blob store does not answer as it should: {message}") from error


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{checked_sha256(sha256)}"


def _derived_key(sha256: str, name: str | None = None) -> str:
    folder = f"derived/{_key(sha256)}"
    return folder if name is None else f"{folder}/{checked_name(name)}"
