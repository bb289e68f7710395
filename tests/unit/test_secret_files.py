"""Settings that hold a secret and come from files (`LOOKBOOK_…_FILE`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings

SECRETS = {
    "database_url": "postgresql+psycopg://lookbook:pass%20word@db.example/lookbook",
    "redis_url": "rediss://lookbook:비밀@redis.example/0",
    "s3_secret_key": "key/with+signs=",
    "webhook_secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A file with each secret, and the variables that name the files."""
    found = {}
    for name, secret in SECRETS.items():
        found[name] = tmp_path / name
        found[name].write_text(secret, "utf-8")
        monkeypatch.delenv(f"LOOKBOOK_{name.upper()}", raising=False)
        monkeypatch.setenv(f"LOOKBOOK_{name.upper()}_FILE", str(found[name]))
    return found


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_secret_can_come_from_a_file(files: dict[str, Path], end: str) -> None:
    assert sorted(files) == sorted(Settings.secret_names())
    for name, path in files.items():
        path.write_bytes((SECRETS[name] + end).encode())
    settings = Settings.read()
    assert {name: getattr(settings, name) for name in files} == SECRETS
    assert not any(secret in repr(settings) for secret in SECRETS.values())
    assert settings.with_changes(port=9).redis_url == SECRETS["redis_url"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"", "the file is empty"), (b"\n", "is empty"), (b"\xff", "UTF-8")],
)
def test_a_file_that_holds_no_secret_is_refused_with_its_name(
    files: dict[str, Path], content: bytes | None, reason: str
) -> None:
    if content is None:
        files["redis_url"].unlink()
    else:
        files["redis_url"].write_bytes(content)
    with pytest.raises(SettingsError, match=f"LOOKBOOK_REDIS_URL_FILE={files['redis_url']}: .*{reason}"):
        Settings.read()


def test_a_secret_may_not_come_from_both(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_REDIS_URL", "redis://elsewhere")
    with pytest.raises(SettingsError, match="LOOKBOOK_REDIS_URL and LOOKBOOK_REDIS_URL_FILE are both set"):
        Settings.read()
    # An empty variable counts as unset.
    monkeypatch.setenv("LOOKBOOK_REDIS_URL", "")
    assert Settings.read().redis_url == SECRETS["redis_url"]


def test_a_wrong_secret_is_not_shown(files: dict[str, Path]) -> None:
    files["webhook_secret"].write_text("whsec_nearlyright")
    with pytest.raises(SettingsError, match=r"LOOKBOOK_WEBHOOK_SECRET=…: .*expected whsec_"):
        Settings.read()


def test_only_secrets_come_from_files(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_PORT_FILE", str(files["redis_url"]))
    assert Settings.read().port == 8000


@pytest.mark.parametrize("url", ["localhost:6379", "http://a:secret@b", "redis://a:secret@b?ssl_ca_certs=/ca.pem"])
def test_a_url_of_redis_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"LOOKBOOK_REDIS_URL=…: .*expected") as refused:
        Settings(home=Path()).with_changes(redis_url=url)
    assert "secret" not in refused.value.detail
