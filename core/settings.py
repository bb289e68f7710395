"""All settings, read from the environment in this one place.

Rules for adding one: it has a user who turns it; its default works on a newcomer's machine; its docstring below says
what it does, with its unit; its name is the environment variable without `LOOKBOOK_`, in lower case. The table in
docs/operations.md is made from this class, and a test holds the two together.
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
"""The folder that holds the code: the default models, samples and pages lie in it."""


class Settings(BaseSettings):
    """Every setting of Lookbook, frozen once read. Made by `Settings.read()`, passed to whoever needs it."""

    model_config = SettingsConfigDict(
        env_prefix="LOOKBOOK_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    home: Path = Path("var")
    """Folder of the data: database, pictures, logs."""

    host: str = "127.0.0.1"
    """Address that the API listens on. Anything but loopback needs a key to be made first."""

    port: int = Field(8000, ge=1, le=65535)
    """Port that the API listens on."""

    no_auth: bool = False
    """Serve anyone who can reach the address without asking for a key."""

    database_url: str = ""
    """SQLAlchemy URL of the database, SQLite or PostgreSQL (`postgresql+psycopg://…`). Empty: SQLite in `home`."""

    blobs: str = ""
    """Where pictures are kept: an S3 bucket (`s3://bucket/prefix`, see Many machines). Empty: `blobs/` in `home`."""

    redis_url: str = ""
    """URL of Redis. Empty: `lookbook up` starts its own."""

    models: Path = PROJECT / "models"
    """Folder of the model artifacts, `<name>/<version>/`."""

    runtime: Literal["auto", "tensorflow", "openvino"] = "auto"
    """What runs the model. `auto`: TensorFlow where there is a GPU, otherwise OpenVINO."""

    precision: Literal["auto", "f32", "bf16", "int8"] = "f32"
    """Arithmetic of the OpenVINO runtime, where the model was checked to keep its labels. `auto`: the fastest such."""

    proxies: int = Field(0, ge=0)
    """Proxies in front of the API whose X-Forwarded-For, -Proto and -Host are believed. Behind one a key is needed."""

    rate_limit: int = Field(6000, ge=0)
    """Requests that a key may make in a minute if it has no limit of its own; 0: any number."""

    api_processes: int = Field(2, ge=1)
    """Processes of the API server."""

    api_threads: int = Field(16, ge=1)
    """Threads of each API process: how many requests it serves at once."""

    decoders: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Processes of a worker that decode pictures."""

    decode_seconds: float = Field(10.0, gt=0)
    """Longest time that decoding one picture may take, in seconds."""

    decode_megabytes: int = Field(2048, ge=256)
    """Address space of one decoder process, in MiB (enforced on Linux)."""

    max_picture_bytes: int = Field(20 * 2**20, ge=1)
    """Largest picture that is accepted, in bytes."""

    max_request_bytes: int = Field(16 * 2**30, ge=1)
    """Largest request body that is accepted, in bytes."""

    max_request_files: int = Field(20_000, ge=1)
    """Most pictures in one request."""

    max_pending_items: int = Field(10_000_000, ge=1)
    """Once so many pictures wait in all jobs together, further jobs are asked to come later (503)."""

    max_archive_bytes: int = Field(8 * 2**30, ge=1)
    """Largest ZIP or TAR file that is accepted, in bytes."""

    max_unpacked_bytes: int = Field(64 * 2**30, ge=1)
    """Most bytes that an archive may unpack to; what comes after them is not read."""

    max_manifest_bytes: int = Field(512 * 2**20, ge=1)
    """Largest CSV or JSONL file of URLs that is accepted, in bytes."""

    max_source_items: int = Field(200_000, ge=1)
    """Most members of an archive, or rows of a manifest."""

    crawl_delay: float = Field(0.2, ge=0)
    """Seconds between two requests of a crawl to one host, at least; its robots.txt or a recipe may ask for more."""

    crawl_connections: int = Field(4, ge=1, le=32)
    """Requests of a crawl to one host at once."""

    crawls: int = Field(2, ge=1)
    """Crawls that one worker process runs at once, each in a process of its own."""

    max_crawl_pages: int = Field(100_000, ge=1)
    """Most pages that a crawl may ask for."""

    max_crawl_pictures: int = Field(1_000_000, ge=1)
    """Most pictures that a crawl may ask for."""

    max_crawl_bytes: int = Field(64 * 2**30, ge=1)
    """Most bytes that a crawl may receive."""

    max_crawl_minutes: int = Field(24 * 60, ge=1)
    """Longest time that a crawl may take, in minutes."""

    loaded_models: int = Field(2, ge=2)
    """Model versions that a worker keeps loaded, at least two; the least recently used one goes first."""

    chunk_size: int = Field(128, ge=1)
    """Most items that travel in one message."""

    chunk_window: int = Field(8, ge=1)
    """Chunks of one job that may be queued or worked on at once."""

    lease_seconds: float = Field(30.0, ge=1)
    """How long a chunk belongs to a worker that has stopped renewing it, in seconds. All other deadlines follow."""

    sweep_seconds: float = Field(2.0, gt=0)
    """How often lost messages and lost leases are looked for, in seconds."""

    webhook_secret: str = Field("", repr=False)
    """`whsec_…`, by which receivers know our webhooks. Empty: one that is made once and kept in the database."""

    retention_days: float = Field(0.0, ge=0)
    """Jobs are removed this many days after they were submitted, with their pictures; 0: never."""

    fetch_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks whose addresses may be fetched from and sent webhooks although they are not public, on any port:
    `10.1.0.0/16,fd00:1::/64`. Whoever may submit jobs can then reach them through Lookbook."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least serious messages that are logged."""

    @field_validator("home", "models")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # Children run in other folders than the one in which the setting was written.
        return value.expanduser().absolute()

    @field_validator("webhook_secret")
    @classmethod
    def _symmetric(cls, value: str) -> str:
        try:
            key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if value and not (value.startswith("whsec_") and 24 <= len(key) <= 64):
            raise ValueError("expected whsec_ and the Base64 of 24 to 64 bytes")
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
        """The settings of this process's environment.

        Raises:
            SettingsError: a value cannot be used; the message names the variable, what was expected and what came.
        """
        try:
            return cls()
        except ValidationError as error:
            raise _explained(error) from error

    def with_changes(self, **changed: object) -> Settings:
        """These settings with some of them changed.

        Raises:
            SettingsError: a value cannot be used.
        """
        try:
            return Settings.model_validate(self.model_dump() | changed)
        except ValidationError as error:
            raise _explained(error) from error

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'lookbook.db'}"

    @property
    def blobs_folder(self) -> Path:
        return self.home / "blobs"

    @property
    def spool_folder(self) -> Path:
        """Uploads on their way: on the same file system as the blobs, if those are kept in a folder."""
        return self.blobs_folder / "tmp"

    @property
    def cache_folder(self) -> Path:
        """What can be made again: compiled models."""
        return self.home / "cache"

    @property
    def resolved_redis_url(self) -> str:
        """The URL of Redis.

        Raises:
            SettingsError: there is none; only `lookbook up` can do without.
        """
        if not self.redis_url:
            raise SettingsError("LOOKBOOK_REDIS_URL is empty: say where Redis is, or use `lookbook up`")
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


def _explained(error: ValidationError) -> SettingsError:
    return SettingsError("; ".join(_line(str(e["loc"][0]), e.get("input"), e["msg"]) for e in error.errors()))


def _line(name: str, value: object, message: str) -> str:
    # A secret that was mistyped is still mostly the secret.
    shown = "…" if name.endswith("_secret") else repr(value)
    return f"LOOKBOOK_{name.upper()}={shown}: {message}"
