"""A service with keys on the command line, over HTTP, and in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import SAMPLES, RunningService, until
from tests.e2e.conftest import make_key, run_keys
from tests.e2e.pages.objects import AccountPage, Head, JobPage, ManyPage, assert_accessible

FIVE_PICTURES = sorted(str(path) for path in SAMPLES.iterdir())[:5]


def client_of(service: RunningService, key: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60.0, trust_env=False)


def test_keys_can_be_created_listed_and_revoked_on_the_command_line(locked: RunningService) -> None:
    key = make_key(locked.home, "robot", "--scope", "submit", "--scope", "read", "--rate", "600", "--quota", "9")
    with client_of(locked) as without_key, client_of(locked, key) as robot:
        until(lambda: without_key.get("/v1/jobs").status_code == 401)
        assert robot.get("/v1/jobs").json() == {"data": [], "next_cursor": None}
        assert robot.get("/v1/usage").json()["quota"] == 9
        listed: list[dict[str, Any]] = json.loads(run_keys(locked.home, "list", "--json").stdout)
        shown = next(row for row in listed if row["name"] == "robot")
        assert (shown["scopes"], shown["rate_limit"], shown["revoked_at"]) == (["submit", "read"], 600, None)
        assert key.rpartition("_")[2] not in run_keys(locked.home, "list", "--json").stdout
        assert "robot" in run_keys(locked.home, "list").stdout
        rotated = run_keys(locked.home, "rotate", shown["id"], "--overlap-days", "1")
        assert rotated.returncode == 0, rotated.stderr
        with client_of(locked, rotated.stdout.strip()) as replaced:
            usage = replaced.get("/v1/usage").json()
            assert (usage["owner"], usage["quota"]) == (shown["owner"], 9)
        assert run_keys(locked.home, "rotate", "key_unknown").returncode == 1
        assert robot.get("/v1/jobs").status_code == 200
        assert run_keys(locked.home, "revoke", shown["id"]).returncode == 0
        until(lambda: robot.get("/v1/jobs").status_code == 401)
        assert run_keys(locked.home, "rotate", shown["id"]).returncode == 1


def test_the_error_of_a_missing_database_says_how_to_create_it(tmp_path: Path) -> None:
    refused = run_keys(tmp_path, "list")
    assert refused.returncode == 1
    assert "lookbook db upgrade" in refused.stderr
    unknown = run_keys(tmp_path, "create", "x", "--scope", "everything")
    assert unknown.returncode == 2


def test_a_user_can_sign_in_upload_see_predictions_and_sign_out(
    locked: RunningService, open_locked: Callable[..., Page]
) -> None:
    key = make_key(locked.home, "photographer")
    page = open_locked("/")
    page.wait_for_url("**/login?next=/")
    page.get_by_label("Key").fill(f" {key} ")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#headline")).to_be_visible()
    page.set_input_files("#files", FIVE_PICTURES)
    ManyPage(page).send()
    page.wait_for_url("**/jobs/job_*")
    expect(page.locator("#line.done")).to_be_visible(timeout=60_000)
    expect(page.locator(".cell img.in")).to_have_count(5)
    job = page.url
    # Changes need the CSRF token of the session, so deleting shows that the page sends it.
    JobPage(page).open_menu("more")
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    Head(page).sign_out()
    page.wait_for_url("**/login")
    page.goto(job)
    page.wait_for_url("**/login?next=/jobs/job_*")


def test_a_key_that_only_reads_is_not_invited_to_send_a_photo(
    locked: RunningService, open_locked: Callable[..., Page]
) -> None:
    key = make_key(locked.home, "visitor", "--scope", "read")
    page = open_locked("/")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your key may look at results.")).to_be_visible()
    expect(page.locator("#choices")).to_be_hidden()
    expect(page.locator("#samples-strip")).to_be_hidden()


def test_the_page_of_another_owners_job_is_answered_with_404(
    locked: RunningService, open_locked: Callable[..., Page], console_errors: list[str]
) -> None:
    with client_of(locked, make_key(locked.home, "owner")) as owner:
        files = [("images", ("a.jpg", Path(FIVE_PICTURES[0]).read_bytes()))]
        path = owner.post("/v1/jobs", files=files).json()["links"]["page"]
        assert owner.get(path).status_code == 200
    page = open_locked(path)
    page.get_by_label("Key").fill(make_key(locked.home, "another owner"))
    with page.expect_response(lambda response: response.url.endswith(path)) as answer:
        page.get_by_role("button", name="Sign in").click()
    assert answer.value.status == 404
    expect(page.locator("#missing-text")).to_contain_text("With the key “another owner” you cannot see this job")
    assert all("404" in error for error in console_errors)
    console_errors.clear()


def test_a_wrong_key_is_refused_with_a_message_in_both_languages(
    open_locked: Callable[..., Page], console_errors: list[str]
) -> None:
    page = open_locked("/login")
    page.get_by_label("Key").fill("lb_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is unknown, or it has been revoked.")
    Head(page).switch_language()
    expect(page.get_by_role("alert")).to_have_text("등록되지 않았거나 폐기된 키입니다.")
    assert all("401" in error for error in console_errors)
    console_errors.clear()


def test_signing_in_never_redirects_to_another_site(locked: RunningService, open_locked: Callable[..., Page]) -> None:
    page = open_locked("/login?next=https://evil.example/")
    page.get_by_label("Key").fill(make_key(locked.home, "guest"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#headline")).to_be_visible()
    assert page.url == f"{locked.url}/"


def test_pages_with_a_session_fit_the_screen_of_a_phone(
    locked: RunningService, open_locked: Callable[..., Page]
) -> None:
    key = make_key(locked.home, "phone")
    with client_of(locked, key) as http:
        files = [("images", ("a.jpg", Path(FIVE_PICTURES[0]).read_bytes()))]
        path = http.post("/v1/jobs", files=files).json()["links"]["page"]
    page = open_locked(path, width=390, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#name")).to_be_visible()
    Head(page).open_menu()
    expect(page.locator("#sign-out")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_signing_in_leads_back_to_the_whole_address(locked: RunningService, open_locked: Callable[..., Page]) -> None:
    page = open_locked("/login")
    key = make_key(locked.home, "returning")
    sign_in(page, key)
    expect(page.locator("#headline")).to_be_visible()
    page.context.clear_cookies()
    page.evaluate("history.replaceState(null, '', '/jobs?q=a%26b&status=failed'); location.reload()")
    page.wait_for_url(re.compile(r"/login\?next="))
    sign_in(page, key)
    page.wait_for_url(lambda url: url.startswith(f"{locked.url}/jobs?q=a%26b&status=failed"))
    expect(page.get_by_role("searchbox")).to_have_value("a&b")
    expect(page.get_by_label("Status")).to_have_value("failed")


def test_a_page_whose_session_ends_leads_back_with_query_and_hash(
    locked: RunningService, open_locked: Callable[..., Page], console_errors: list[str]
) -> None:
    key = make_key(locked.home, "leaving")
    page = open_locked("/login?next=/jobs")
    sign_in(page, key)
    expect(page.get_by_text("There is no job yet.")).to_be_visible()
    page.get_by_role("searchbox").fill("autumn")
    expect(page.get_by_text("No job matches this search.")).to_be_visible()
    page.context.clear_cookies()
    # The page reads its list again, and the server refuses.
    page.evaluate("location.hash = 'list'")
    page.wait_for_url(re.compile(r"/login\?next="))
    sign_in(page, key)
    page.wait_for_url(f"{locked.url}/jobs?q=autumn#list")
    # The browser itself logs the 401.
    assert all("401" in error for error in console_errors)
    console_errors.clear()


def test_an_admin_creates_and_revokes_keys_on_the_account_page(
    locked: RunningService, open_locked: Callable[..., Page]
) -> None:
    page = open_locked("/account")
    page.wait_for_url("**/login?next=/account")
    sign_in(page, make_key(locked.home, "<i>head</i>", "--scope", "admin", "--quota", "40"))
    account = AccountPage(page)
    expect(page.get_by_role("heading", name="<i>head</i>")).to_be_visible()
    expect(Head(page).menu.locator("summary")).to_have_text("<i>head</i>")
    expect(page.locator("#quota")).to_contain_text("40 of 40 pictures are left")
    account.create("", quota="5")
    expect(page.get_by_role("alert")).to_contain_text("Give the key a name")
    account.create("catalog import", quota="many")
    expect(page.get_by_role("alert")).to_contain_text("whole numbers")
    account.create("catalog import", quota="5")
    expect(account.secret).to_have_text(re.compile(r"^lb_"))
    secret = account.secret.inner_text()
    expect(account.row("catalog import")).to_contain_text("submit, read5")
    assert_accessible(page)
    with client_of(locked, secret) as http:
        assert http.get("/v1/usage").json()["quota"] == 5
        account.rotate("catalog import")
        expect(account.row("catalog import")).to_have_count(2)
        expect(account.row("catalog import").last).to_contain_text("stops working on")
        with client_of(locked, account.secret.inner_text()) as replaced:
            assert replaced.get("/v1/usage").json()["owner"] == http.get("/v1/usage").json()["owner"]
        page.get_by_role("button", name="Revoke: catalog import").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(account.row("catalog import").first).to_contain_text("revoked on")
        account.revoke("catalog import")
        expect(account.row("catalog import").last).to_contain_text("revoked on")
        until(lambda: http.get("/v1/usage").status_code == 401)
    page.reload()
    expect(account.secret).to_be_hidden()
    expect(account.row("catalog import").last).to_contain_text("revoked on")


def test_without_the_scope_admin_the_account_page_shows_no_keys(
    locked: RunningService, open_locked: Callable[..., Page]
) -> None:
    page = open_locked("/login?next=/account", width=390, locale="ko-KR", dark=True)
    page.locator("#key").fill(make_key(locked.home, "a key with a name that is much too long for the head of a page"))
    page.get_by_role("button", name="로그인").click()
    expect(page.get_by_text("월 사용량 제한이 없습니다.")).to_be_visible()
    expect(page.locator("#keys-section")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(page)


def test_the_api_documentation_needs_no_key_and_follows_theme_and_language(open_locked: Callable[..., Page]) -> None:
    page = open_locked("/docs#create_upload_job", width=390, locale="ko-KR")
    expect(page.get_by_text("/v1/keys", exact=True).first).to_be_visible()
    expect(page.get_by_role("heading", name="본문: multipart/form-data")).to_be_visible()
    page.get_by_role("link", name="JobOut").first.click()
    expect(page.locator("#schema-JobOut").get_by_role("rowheader", name="eta_seconds")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(page)
    page.get_by_role("searchbox").fill("REVOKE AN API")
    expect(page.locator("details.call:visible")).to_have_count(1)
    page.get_by_role("link", name="Lookbook").click()
    page.wait_for_url("**/login?next=/")


def test_the_api_documentation_sends_requests_with_the_session(
    locked: RunningService, open_locked: Callable[..., Page], console_errors: list[str]
) -> None:
    page = open_locked("/login")
    sign_in(page, make_key(locked.home, "reader of manuals"))
    expect(page.locator("#headline")).to_be_visible()
    page.goto("/docs#delete_job")
    call = page.locator("#delete_job")
    call.get_by_label("job_id").fill("job_unknown")
    # The browser itself logs a 404.
    with page.expect_console_message(lambda message: "404" in message.text):
        call.get_by_role("button", name="Send").click()
    # Without the CSRF token of the session, the answer would be 403.
    expect(call.get_by_role("status")).to_contain_text("404")
    expect(call).to_contain_text('"code": "unknown_job"')
    console_errors.clear()
    page.goto("/docs#create_job")
    call = page.locator("#create_job")
    call.get_by_label("application/json").fill('{"open": true, "name": "tried"}')
    call.get_by_role("button", name="Send").click()
    expect(call.get_by_role("status")).to_contain_text("202")
