"""All settings. This is the only module that reads them from the environment.

Rules for a new setting: some user needs to change it; its default works on a newly set up machine; the docstring below
it says what it does and in which unit. Its name is the environment variable in lower case, without `LOOKBOOK_`. The
table in docs/operations.md is generated from this class, and a test compares the two. A setting that is or holds a
secret is declared with `repr=False`: it may also come from a file (`LOOKBOOK_…_FILE`), and no message shows its value.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import SettingsError
from core.machine import Machine

PROJECT = Path(__file__).resolve().parent.parent
"""The folder of the code, which also contains the default models, the samples and the web pages."""

_ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(:\d{1,5})?")
_DEFAULT_PORT = re.compile(r"^http:.*\]?:80$|^https:.*\]?:443$")


def _default_decoders(fields: dict[str, Any]) -> int:
    # pydantic passes the fields that are declared before, unless they are not valid.
    return Machine.here().decoders(fields.get("decode_megabytes", 512))


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

    database_url: str = Field("", repr=False)
    """SQLAlchemy URL of a SQLite or PostgreSQL database (`postgresql+psycopg://…`). Empty: SQLite in `home`."""

    blobs: str = ""
    """S3 bucket that stores the pictures (`s3://bucket/prefix`, see Many machines). Empty: `blobs/` in `home`."""

    s3_secret_key: str = Field("", repr=False)
    """Secret access key of that bucket. Empty: `AWS_SECRET_ACCESS_KEY`, or a role of the machine."""

    s3_redirect: bool = False
    """Answer signed picture URLs with a redirect to a URL that the bucket signs. Browsers must reach the bucket."""

    redis_url: str = Field("", repr=False)
    """URL of Redis. Empty: `lookbook up` starts its own Redis server."""

    models: Path = PROJECT / "models"
    """Folder with the model artifacts, one subfolder `<name>/<version>/` for each. Others come from the bucket."""

    runtime: Literal["auto", "tensorflow", "openvino"] = "auto"
    """Library that runs the model. `auto`: TensorFlow if there is a GPU, otherwise OpenVINO."""

    precision: Literal["auto", "f32", "bf16", "int8"] = "f32"
    """Arithmetic of OpenVINO. Used only if the model was checked to keep its labels with it. `auto`: the fastest."""

    proxies: int = Field(0, ge=0)
    """Number of trusted proxies that set X-Forwarded-For, -Proto and -Host. If there is one, a key is required."""

    rate_limit: int = Field(6000, ge=0)
    """Requests per minute for a key that has no limit of its own. 0: no limit."""

    wrong_keys: int = Field(30, ge=1)
    """Requests with wrong keys that one IP address, or one IPv6 network (/64), may make per minute. Then: 429."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the API with a key, for example `https://shop.example,http://localhost:3000`."""

    api_processes: int = Field(2, ge=1)
    """Number of API server processes."""

    api_threads: int = Field(16, ge=1)
    """Threads of each API process, which is the number of requests that it handles at the same time."""

    address_connections: int = Field(1000, ge=1)
    """Connections of one IP address to each API process. One more ends the slowest. Not used with `proxies`."""

    decode_seconds: float = Field(8.0, gt=0)
    """Longest time for decoding one picture, in seconds."""

    decode_megabytes: int = Field(512, ge=256)
    """Memory that one decoder process may use, in MiB. Linux enforces it. A picture that needs more fails with
    `too_much_memory`."""

    decoders: int = Field(default_factory=_default_decoders, ge=1)
    """Number of processes in a worker that decode pictures. By default it follows the limits of the container: one for
    each core, as far as the memory suffices (1 GiB for the worker, `LOOKBOOK_DECODE_MEGABYTES` for each)."""

    max_picture_bytes: int = Field(20 * 2**20, ge=1)
    """Size of the largest accepted picture, in bytes."""

    max_pixels: int = Field(50_000_000, ge=1)
    """Maximum number of pixels of a picture. If you raise it, raise `LOOKBOOK_DECODE_MEGABYTES` in proportion."""

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

    vectors: bool = True
    """Whether a vector is stored with each prediction, for searching by likeness and for teaching. It takes two bytes
    for each value of the model's embedding: 2,560 bytes with the default model. A job can leave its own vectors out."""

    fetch_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that are not public but that Lookbook may download from and send webhooks to, on any port, for example
    `10.1.0.0/16,fd00:1::/64`. Everyone who may submit jobs can then reach these networks through Lookbook."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity of the messages that are logged."""

    log_megabytes: int = Field(32, ge=1)
    """Size of a log file of `lookbook up`, in MiB, at which it begins another one. It keeps four older ones of each."""

    traces: str = ""
    """URL of an OpenTelemetry collector that receives traces (OTLP over HTTP). Empty: no traces."""

    @field_validator("home", "models")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # Child processes can run in another folder, where a relative path would have another meaning.
        return value.expanduser().absolute()

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        if value and not re.match(r"(redis|rediss|unix)://", value):
            raise ValueError("expected a URL that begins with redis://, rediss:// (TLS) or unix://")
        if "ssl_" in value.partition("?")[2] and not value.startswith("rediss://"):
            raise ValueError("expected options of TLS only in a URL that begins with rediss://")
        return value

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

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(part.strip() for part in value.split(",") if part.strip())
        for origin in origins:
            # Browsers send origins in this form, without a path and without the default port.
            if not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.search(origin):
                raise ValueError(f"expected origins such as https://a.example or http://localhost:3000, got {origin!r}")
        return origins

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, the strongest first: arguments, files with secrets, the environment."""
        # Compose files pass on unset variables as empty ones, which must not hide a file.
        return init_settings, _SecretFiles(settings_cls), env_settings

    @classmethod
    def secret_names(cls) -> list[str]:
        """Return the names of the settings that are or hold a secret."""
        return [name for name, field in cls.model_fields.items() if not field.repr]

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
    def log_bytes(self) -> int:
        return self.log_megabytes * 2**20

    @property
    def spool_folder(self) -> Path:
        """The folder for incomplete uploads. If the blobs are in a folder, both are on the same file system."""
        return self.blobs_folder / "tmp"

    @property
    def cache_folder(self) -> Path:
        """The folder for compiled models and other files that can be generated again."""
        return self.home / "cache"

    @property
    def vectors_folder(self) -> Path:
        """The folder for indexes of vectors, which can be built again from the database."""
        return self.cache_folder / "vectors"

    @property
    def fetched_models_folder(self) -> Path:
        """The folder for models that this machine got from the bucket."""
        return self.cache_folder / "models"

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
    shown = "…" if name in Settings.secret_names() else repr(value)
    return f"LOOKBOOK_{name.upper()}={shown}: {message}"


class _SecretFiles(PydanticBaseSettingsSource):
    """The secrets in the files that `LOOKBOOK_…_FILE` names, as Docker and Kubernetes provide them."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """Return the content of the file of a setting, or None; its name; and False, because no value is JSON.

        Raises:
            SettingsError: the file cannot be read, or the setting has a value in the environment as well.
        """
        variable = f"LOOKBOOK_{field_name.upper()}"
        file_variable = f"{variable}_FILE"
        path = "" if field.repr else os.environ.get(file_variable, "")
        if not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise SettingsError(f"{variable} and {file_variable} are both set: expected only one of them")
        try:
            # Editors and `echo` end the file with a line break that is not part of the secret.
            secret = Path(path).read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise SettingsError(f"{file_variable}={path}: the file cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{file_variable}={path}: expected text in UTF-8") from error
        if not secret:
            raise SettingsError(f"{file_variable}={path}: expected a secret, and the file is empty")
        return secret, field_name, False

    def __call__(self) -> dict[str, str]:
        found = {name: self.get_field_value(field, name)[0] for name, field in Settings.model_fields.items()}
        return {name: secret for name, secret in found.items() if secret is not None}
