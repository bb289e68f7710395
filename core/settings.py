"""All settings. This is the only module that reads them from the environment.

Rules for a new setting: some user needs to change it; its default works on a newly set up machine; the docstring below
it says what it does and in which unit. Its name is the environment variable in lower case, without `LOOKBOOK_`. The
table in docs/operations.md is generated from this class, and a test compares the two.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent
"""The folder of the code, which also contains the default models, the samples and the web pages."""


class Settings(BaseSettings):
    """All settings of Lookbook. They cannot change after `Settings.read()` has read them."""

    model_config = SettingsConfigDict(
        env_prefix="LOOKBOOK_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    home: Path = Path("var")
    """Folder for all data: the database, pictures and logs."""

    host: str = "127.0.0.1"
    """IP address or host name that the API listens on. Create a key before you set anything other than loopback."""

    port: int = Field(8000, ge=1, le=65535)
    """Port that the API listens on."""

    no_auth: bool = False
    """Accept requests without a key from everyone who can reach the API."""

    database_url: str = ""
    """SQLAlchemy URL of a SQLite or PostgreSQL database (`postgresql+psycopg://…`). Empty: SQLite in `home`."""

    blobs: str = ""
    """S3 bucket that stores the pictures (`s3://bucket/prefix`, see Many machines). Empty: `blobs/` in `home`."""

    redis_url: str = ""
    """URL of Redis. Empty: `lookbook up` starts its own Redis server."""

    models: Path = PROJECT / "models"
    """Folder with the model artifacts, one subfolder `<name>/<version>/` for each."""

    runtime: Literal["auto", "tensorflow", "openvino"] = "auto"
    """Library that runs the model. `auto`: TensorFlow if there is a GPU, otherwise OpenVINO."""

    precision: Literal["auto", "f32", "bf16", "int8"] = "f32"
    """Arithmetic of OpenVINO. Used only if the model was checked to keep its labels with it. `auto`: the fastest."""

    proxies: int = Field(0, ge=0)
    """Number of trusted proxies that set X-Forwarded-For, -Proto and -Host. If there is one, a key is required."""

    rate_limit: int = Field(6000, ge=0)
    """Requests per minute for a key that has no limit of its own. 0: no limit."""

    api_processes: int = Field(2, ge=1)
    """Number of API server processes."""

    api_threads: int = Field(16, ge=1)
    """Threads of each API process, which is the number of requests that it handles at the same time."""

    address_connections: int = Field(1000, ge=1)
    """Connections of one IP address to each API process. One more ends the slowest. Not used with `proxies`."""

    decoders: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Number of processes in a worker that decode pictures."""

    decode_seconds: float = Field(10.0, gt=0)
    """Longest time for decoding one picture, in seconds."""

    decode_megabytes: int = Field(2048, ge=256)
    """Address space limit of one decoder process, in MiB. Linux enforces it."""

    max_picture_bytes: int = Field(20 * 2**20, ge=1)
    """Size of the largest accepted picture, in bytes."""

    max_pixels: int = Field(50_000_000, ge=1)
    """Maximum number of pixels of a picture. Above 100 million, decoders need more than their default memory."""

    accept_truncated: bool = False
    """Classify JPEG pictures that lack a part of their data, as browsers show them: the missing part is grey."""

    max_request_bytes: int = Field(16 * 2**30, ge=1)
    """Size of the largest accepted request body, in bytes."""

    max_request_files: int = Field(20_000, ge=1)
    """Maximum number of pictures in one request."""

    max_pending_items: int = Field(10_000_000, ge=1)
    """Maximum number of pictures that wait in all jobs together. At this number, new jobs are refused with 503."""

    max_archive_bytes: int = Field(8 * 2**30, ge=1)
    """Size of the largest accepted ZIP or TAR file, in bytes."""

    max_unpacked_bytes: int = Field(64 * 2**30, ge=1)
    """Maximum number of bytes unpacked from one archive. Lookbook does not read the rest of the archive."""

    max_manifest_bytes: int = Field(512 * 2**20, ge=1)
    """Size of the largest accepted manifest, in bytes. A compressed one may also unpack to this size."""

    max_source_items: int = Field(200_000, ge=1)
    """Maximum number of members in an archive, or of rows in a manifest."""

    crawl_delay: float = Field(0.2, ge=0)
    """Shortest time between two requests of a crawl to one host, in seconds. robots.txt or a recipe can demand more."""

    crawl_connections: int = Field(4, ge=1, le=32)
    """Maximum number of simultaneous requests of a crawl to one host."""

    crawls: int = Field(2, ge=1)
    """Crawls that one worker process runs at the same time. Each crawl has its own process."""

    max_crawl_pages: int = Field(100_000, ge=1)
    """Maximum number of pages that a crawl may request."""

    max_crawl_pictures: int = Field(1_000_000, ge=1)
    """Maximum number of pictures that a crawl may request."""

    max_crawl_bytes: int = Field(64 * 2**30, ge=1)
    """Maximum number of bytes that a crawl may receive."""

    max_crawl_minutes: int = Field(24 * 60, ge=1)
    """Longest duration of a crawl, in minutes."""

    render: Literal["off", "recipes", "auto"] = "off"
    """Draw pages in Chromium before a crawl reads them: by a recipe with `render: true`. `auto`: empty shops, too."""

    chromium: str = ""
    """Path of the Chromium that draws pages. Empty: the one that Playwright has installed."""

    chromium_sandbox: bool = True
    """Run Chromium in its sandbox. Without it, draw only pages of shops that you trust."""

    loaded_models: int = Field(2, ge=2)
    """Model versions that a worker keeps loaded, at least two. A further one replaces the least recently used one."""

    chunk_size: int = Field(128, ge=1)
    """Maximum number of items in one message to a worker."""

    chunk_window: int = Field(8, ge=1)
    """Maximum number of chunks of one job that are queued or in a worker's hands at the same time."""

    lease_seconds: float = Field(30.0, ge=1)
    """Seconds after which a worker that stops renewing its lease loses its chunk. Sets all other deadlines, too."""

    sweep_seconds: float = Field(2.0, gt=0)
    """Interval between two searches for lost messages and expired leases, in seconds."""

    webhook_secret: str = Field("", repr=False)
    """Secret that signs webhooks, `whsec_…`. Empty: a secret that is generated once and stored in the database."""

    retention_days: float = Field(0.0, ge=0)
    """Days after submission at which a job and its pictures are removed. 0: never."""

    fetch_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that are not public but that Lookbook may download from and send webhooks to, on any port, for example
    `10.1.0.0/16,fd00:1::/64`. Everyone who may submit jobs can then reach these networks through Lookbook."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity of the messages that are logged."""

    @field_validator("home", "models")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # Child processes can run in another folder, where a relative path would have another meaning.
        return value.expanduser().absolute()

    @field_validator("webhook_secret")
    @classmethod
    def _symmetric(cls, value: str) -> str:
        try:
            key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if value and not (value.startswith("whsec_") and 24 <= len(key) <= 64):
            raise ValueError("expected whsec_ and 24 to 64 bytes in Base64")
        return value

    @field_validator("blobs")
    @classmethod
    def _bucket(cls, value: str) -> str:
        if value and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w./-]*)?", value):
            raise ValueError("expected s3://bucket or s3://bucket/prefix")
        return value.rstrip("/")

    @field_validator("fetch_allow", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())

    @classmethod
    def read(cls) -> Settings:
        """Return the settings from this process's environment.

        Raises:
            SettingsError: a value cannot be used. The message names the variable and says what was expected.
        """
        try:
            return cls()
        except ValidationError as error:
            raise _settings_error(error) from error

    def with_changes(self, **changed: object) -> Settings:
        """Return a copy of these settings with some of them changed.

        Raises:
            SettingsError: a value cannot be used.
        """
        try:
            return Settings.model_validate(self.model_dump() | changed)
        except ValidationError as error:
            raise _settings_error(error) from error

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'lookbook.db'}"

    @property
    def blobs_folder(self) -> Path:
        return self.home / "blobs"

    @property
    def spool_folder(self) -> Path:
        """The folder for incomplete uploads. If the blobs are in a folder, both are on the same file system."""
        return self.blobs_folder / "tmp"

    @property
    def cache_folder(self) -> Path:
        """The folder for compiled models and other files that can be generated again."""
        return self.home / "cache"

    @property
    def resolved_redis_url(self) -> str:
        """Return the URL of Redis.

        Raises:
            SettingsError: the URL is not set. Only `lookbook up` works without it.
        """
        if not self.redis_url:
            raise SettingsError("LOOKBOOK_REDIS_URL is empty: set it to the URL of Redis, or use `lookbook up`")
        return self.redis_url

    @property
    def on_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def _settings_error(error: ValidationError) -> SettingsError:
    return SettingsError("; ".join(_description(str(e["loc"][0]), e.get("input"), e["msg"]) for e in error.errors()))


def _description(name: str, value: object, message: str) -> str:
    # A mistyped secret still reveals most of the real one.
    shown = "…" if name.endswith("_secret") else repr(value)
    return f"LOOKBOOK_{name.upper()}={shown}: {message}"
