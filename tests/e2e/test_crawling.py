"""Crawls by the whole running service, from the command line and from the pages, and training on the pictures."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner, Result

from classifier.artifact import Artifact
from cli.main import app
from cli.output import ExitCode
from core.pictures import load
from core.settings import PROJECT
from lookbook import Client, Job, Upload
from lookbook.options import Rectangle
from lookbook.product_answers import ProductVerdict
from tests.conftest import SAMPLES, RunningService, until
from tests.e2e.conftest import provide_open_page
from tests.e2e.pages.objects import JobPage, ManyPage, assert_accessible
from tests.shop import Shop, running_shop

Run = Callable[..., Result]
OpenPage = Callable[..., Page]
RECIPES = PROJECT / "recipes" / "training"


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(seed=7, products=12) as running:
        yield running


@pytest.fixture(scope="module")
def service(loopback_service: RunningService) -> RunningService:
    """A service that may crawl the shop."""
    return loopback_service


@pytest.fixture(scope="module")
def client(service: RunningService) -> Iterator[Client]:
    with Client(service.url) as made:
        yield made


@pytest.fixture
def run(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = str(tmp_path_factory.mktemp("home"))

    def run_(*arguments: str) -> Result:
        runner = CliRunner(env={"LOOKBOOK_URL": service.url, "LOOKBOOK_HOME": home, "COLUMNS": "200"})
        return runner.invoke(app, list(arguments))

    return run_


@pytest.fixture
def open_page(browser: Browser, service: RunningService, console_errors: list[str]) -> Iterator[OpenPage]:
    yield from provide_open_page(browser, service, console_errors)


@pytest.fixture(scope="module")
def crawled(client: Client, shop: Shop) -> Job:
    """A crawl of the whole site whose products are in JSON-LD."""
    return client.crawl(shop.address_url("json-ld", "/"), name="The shop").wait(timeout=120)


def test_the_process_of_a_crawl_counts_what_it_has_settled(service: RunningService, crawled: Job) -> None:
    def counted() -> dict[str, float]:
        text = httpx.get(f"{service.url}/metrics").text
        found = re.findall(r'^lookbook_crawl_urls_total{kind="(\w+)",state="done"} (.*)$', text, re.MULTILINE)
        return {kind: float(value) for kind, value in found}

    pictures = crawled.counts.total
    until(lambda: counted()["picture"] >= pictures > 0 and counted()["page"] > 0)


def test_a_preview_shows_what_the_first_page_yields(open_page: OpenPage, shop: Shop) -> None:
    page = open_page("/new", locale="ko-KR")
    ManyPage(page).enter(shop.address_url("json-ld", "/"))
    page.get_by_role("button", name="첫 페이지 미리 보기").click()
    expect(page.locator("#preview-facts")).to_contain_text("따라갈 링크", timeout=60_000)
    expect(page.locator("#preview-facts")).to_contain_text("상품 목록")
    pictures = page.locator("#preview-pictures li")
    expect(pictures.first.locator("img")).to_be_visible()
    expect(pictures.first.locator("a")).to_have_attribute("rel", "noopener noreferrer")
    assert_accessible(page)
    # Another source starts without the preview of this one.
    page.get_by_role("button", name="다시 선택").click()
    ManyPage(page).enter("shop.example")
    expect(page.locator("#preview-page")).to_be_hidden()


def test_the_command_line_crawls_a_shop_and_lists_its_urls(run: Run, shop: Shop) -> None:
    done = run("crawl", shop.address_url("microdata", "/"), "--max-pages", "6", "--name", "six pages")
    assert done.exit_code == ExitCode.OK, done.output
    assert re.search(r"pages: \d+ seen, 6 done", done.stdout), done.stdout
    assert re.search(r"left out: .*limit_pages", done.stdout)
    job_id = done.stderr.split()[0]
    listed = run("urls", job_id, "--kind", "page", "--state", "done").stdout.splitlines()
    assert len(listed) == 6
    assert shop.address_url("microdata", "/") in listed[0]
    rows = [json.loads(line) for line in run("urls", job_id, "--state", "left_out", "--json").stdout.splitlines()]
    assert "limit_pages" in {row["reason"]["code"] for row in rows}


def test_a_repeated_crawl_reuses_all_predictions(run: Run, crawled: Job) -> None:
    done = run("crawl", "--since", crawled.id)
    assert done.exit_code == ExitCode.OK, done.output
    assert f"since {crawled.id}: 0 new, 0 changed, {crawled.counts.succeeded} unchanged, 0 gone" in done.stdout
    assert f"{crawled.counts.succeeded} reused" in done.stdout


def test_a_crawl_can_be_repeated_from_its_page_which_shows_the_changes(open_page: OpenPage, crawled: Job) -> None:
    page = open_page(f"/jobs/{crawled.id}")
    JobPage(page).open_menu("more")
    page.get_by_role("button", name="Crawl again").click()
    page.wait_for_url(lambda url: "/jobs/job_" in url and crawled.id not in url)
    expect(page.locator("#crawl-counts")).to_contain_text(f"{crawled.counts.succeeded} unchanged", timeout=60_000)
    expect(page.locator("h1#name")).to_have_text("The shop")


def test_a_cookie_wall_is_reported_on_the_command_line_and_on_the_page(
    run: Run, shop: Shop, open_page: OpenPage
) -> None:
    done = run("crawl", shop.address_url("wall", "/"))
    assert (done.exit_code, "cookie_wall" in done.stderr) == (ExitCode.ERROR, True)
    page = open_page(f"/jobs/{done.stderr.split()[0]}")
    expect(page.locator("#verdict")).to_contain_text("agree to something first")


def test_a_crawl_from_the_page_shows_the_products_of_the_shop(open_page: OpenPage, shop: Shop, client: Client) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.enter(shop.address_url("open-graph", "/"))
    many.send()
    page.wait_for_url("**/jobs/job_*")
    expect(page.locator("#line.done")).to_be_visible(timeout=90_000)
    job = client.job(page.url.rpartition("/")[2])
    products = {product.title: product for product in shop.truth("open-graph").products()}
    shown = JobPage(page)
    shown.expect_length(job.counts.total)
    titles = shown.texts("name")
    assert titles
    assert set(titles) <= products.keys()
    shown.cells.first.click()
    link = page.locator("#viewer-facts a").first
    assert str(link.get_attribute("href")).startswith(shop.address_url("open-graph", "/p/"))
    page.keyboard.press("Escape")
    page.get_by_role("link", name="URLs").click()
    expect(page.locator("#urls-table tbody tr").first).to_contain_text(shop.address_url("open-graph", "/"))


def half_size(path: Path) -> bytes:
    """Return a copy of a picture at half its size, in another quality."""
    image, _ = load(path.read_bytes())
    small = image.resize((image.width // 2, image.height // 2))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=70)
    return out.getvalue()


def label_of(name: str) -> str:
    kind = name.partition("-")[0] if not name.startswith("t-shirt") else "t-shirt"
    return {"coat": "outwear", "jacket": "outwear", "cap": "hat", "shoe": "shoes", "sneaker": "shoes"}.get(kind, kind)


@pytest.fixture(scope="module")
def reviewed(client: Client) -> tuple[Job, Job]:
    """Two reviewed jobs: one of the JPEG samples, and one of their copies at half the size."""
    first = client.submit_uploads(sorted(SAMPLES.glob("*.jpg"))).wait()
    copies = [Upload(path.name, half_size(path)) for path in sorted(SAMPLES.glob("*.jpg"))]
    second = client.submit_uploads(copies).wait()
    for job in (first, second):
        for item in job.items():
            client.review(item, label_of(item.source.name))
    return first, second


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]


def test_a_dataset_of_reviews_keeps_copies_on_one_side_and_can_train_a_model(
    run: Run, reviewed: tuple[Job, Job], tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    sources = [word for job in reviewed for word in ("--from", job.id)]
    command = ["dataset", "build", *sources, "--labels", "review", "--out", str(folder), "--validation", "0.4"]
    done = run(*command)
    assert done.exit_code == ExitCode.OK, done.output
    rows = manifest(folder)
    copies = len(list(SAMPLES.glob("*.jpg")))
    assert f"{2 * copies} pictures of {copies} different photos" in done.stdout
    assert {(row["kind"], row["label_from"]) for row in rows} == {("verified", "review")}
    by_name: dict[str, set[tuple[str, str, str]]] = {}
    for row in rows:
        by_name.setdefault(row["source"]["name"], set()).add((row["cluster"], row["split"], row["label"]))
        assert (folder / row["file"]).is_file()
        assert row["file"].split("/")[:2] == [row["split"], row["label"]]
    assert all(len(where) == 1 for where in by_name.values())
    assert {row["split"] for row in rows} == {"train", "validation"}
    # A second build gives the same bytes and downloads nothing.
    before = (folder / "manifest.jsonl").read_bytes(), (folder / "dataset.json").read_bytes()
    assert run(*command).exception is not None
    assert run(*command, "--overwrite").exit_code == ExitCode.OK
    assert ((folder / "manifest.jsonl").read_bytes(), (folder / "dataset.json").read_bytes()) == before
    trained = train(run, folder, tmp_path)
    assert trained.taxonomy.label_ids == [label["id"] for label in json.loads(before[1])["taxonomy"]["labels"]]
    assert trained.metrics["train_pictures"] == sum(row["split"] == "train" for row in rows)
    assert "labels by review" in trained.card
    assert "0 of the labels are unchecked words" in trained.card


def train(run: Run, folder: Path, tmp_path: Path) -> Artifact:
    """Train a model on a dataset in a few epochs."""
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"backbone": "vgg16", "weights": "none", "width": 0.125, "size": 32, "crop_from": 36, "batch": 8}
    recipe |= {"taxonomy": str(RECIPES / "garments.labels.json")}
    recipe["head"]["epochs"] = 2
    recipe["fine_tune"] |= {"epochs": 1, "from_block": 3, "size": 32}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    words = ["train", "--data", str(folder), "--recipe", str(tmp_path / "recipe.yaml"), "--name", "reviewed"]
    done = run(*words, "--models", str(tmp_path / "models"))
    assert done.exit_code == ExitCode.OK, done.output
    return Artifact.open(tmp_path / "models" / "reviewed" / "1")


def test_a_dataset_of_a_crawl_has_weak_labels_of_categories_and_verified_ones_of_reviews(
    run: Run, client: Client, crawled: Job, tmp_path: Path
) -> None:
    item = next(item for item in crawled.items() if item.product and item.product.category)
    crop: Rectangle = {"x": 10, "y": 20, "width": 40, "height": 50}
    client.review(item, "hat", crop)
    done = run("dataset", "build", "--from", crawled.id, "--labels", "category", "--out", str(tmp_path / "set"))
    assert done.exit_code == ExitCode.OK, done.output
    rows = {row["item"]: row for row in manifest(tmp_path / "set")}
    assert (rows[item.id]["kind"], rows[item.id]["label"], rows[item.id]["crop"]) == ("verified", "hat", crop)
    with Image.open(tmp_path / "set" / rows[item.id]["file"]) as part:
        assert part.size == (40, 50)
    weak = [row for row in rows.values() if row["kind"] == "weak"]
    assert weak
    assert {row["word"] for row in weak} <= {item.product.category for item in crawled.items() if item.product}
    assert all(row["source"]["page_url"].startswith("http://127.1.0.") for row in weak)


def test_a_dataset_that_cannot_be_built_gives_the_reason_and_leaves_nothing(
    run: Run, client: Client, tmp_path: Path
) -> None:
    job = client.submit_uploads([SAMPLES / "coat-camel.jpg"]).wait()
    command = ["dataset", "build", "--labels", "query", "--out", str(tmp_path / "set"), "--from"]
    assert "no picture has a label by query; left out: 1 unlabelled" in str(run(*command, job.id).exception)
    assert "There is no job" in str(run(*command, "job_unknown").exception)
    assert run(*command, job.id, "--validation", "0.6", "--test", "0.6").exit_code == ExitCode.USAGE
    assert run(*command, job.id, "--as", "coat").exit_code == ExitCode.USAGE
    assert not (tmp_path / "set").exists()


def test_products_are_listed_and_exported_on_the_command_line(run: Run, crawled: Job, tmp_path: Path) -> None:
    rows = list(crawled.products())
    assert len(rows) == crawled.state.products > 1
    assert {row.product.product_id for row in rows} == {
        item.product.product_id for item in crawled.items() if item.product
    }
    lines = run("products", crawled.id).stdout.splitlines()
    assert len(lines) == len(rows)
    assert (rows[0].product.product_id or "") in lines[0]
    found = [json.loads(line) for line in run("products", crawled.id, "--limit", "2", "--json").stdout.splitlines()]
    assert [row["product"]["product_id"] for row in found] == [row.product.product_id for row in rows[:2]]
    of_one = run("items", crawled.id, "--product", rows[0].product.product_id or "", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in of_one] == [photo.id for photo in rows[0].photos]
    assert run("products", crawled.id, "-o", str(tmp_path / "products.jsonl")).exit_code == ExitCode.OK
    exported = [json.loads(line) for line in (tmp_path / "products.jsonl").read_text("utf-8").splitlines()]
    assert [row["product_id"] for row in exported] == [row.product.product_id for row in rows]


def a_contradiction(client: Client, crawled: Job) -> ProductVerdict:
    """Review two photos of a product, so that its verdict contradicts its category and one of them is set apart."""
    row = next(row for row in crawled.products() if row.pictures > 1 and row.category_labels)
    other = next(label for label in ("hat", "shoes") if label not in (row.category_labels or ()))
    client.review(row.photos[0].id, other)
    client.reject(row.photos[1].id)
    (changed,) = crawled.products(product_id=row.product.product_id)
    assert changed.verdict is not None
    assert (changed.verdict.id, changed.by_review, changed.contradicts_category) == (other, True, True)
    assert row.photos[1].id in changed.set_apart
    return changed


def test_the_page_shows_products_with_verdicts_and_what_contradicts_the_shop(
    open_page: OpenPage, client: Client, crawled: Job
) -> None:
    row = a_contradiction(client, crawled)
    page = open_page(f"/jobs/{crawled.id}")
    page.get_by_role("link", name=re.compile("By product")).click()
    cards = page.locator("#products > ul > li")
    expect(cards).to_have_count(crawled.state.products)
    page.get_by_role("button", name="contradict the category").click()
    card = cards.filter(has_text=row.product.title or "").filter(has_text="Contradicts the shop’s category")
    expect(card.locator(".verdict")).to_contain_text("reviewed")
    expect(card.locator(".apart")).to_contain_text("Shows something else")
    expect(card.locator("header")).to_contain_text(row.product.title or "")
    assert_accessible(page)
    # The view and its filter are in the URL.
    page.reload()
    expect(cards).to_have_count(len(list(crawled.products(contradicts=True))))
    card.locator("a[data-item]").first.focus()
    page.keyboard.press("Enter")
    facts = page.locator("#viewer-facts")
    expect(facts).to_contain_text(row.product.category or "")
    expect(facts.locator(".rule").first).to_have_text("json_ld")
    assert_accessible(page)
    page.go_back()
    expect(card).to_be_visible()
    expect(page.locator("#viewer")).to_be_hidden()
    page.get_by_role("link", name=re.compile("Each picture")).click()
    JobPage(page).expect_length(crawled.counts.total)


def test_the_products_fit_a_korean_phone_in_the_dark(open_page: OpenPage, client: Client, crawled: Job) -> None:
    a_contradiction(client, crawled)
    page = open_page(f"/jobs/{crawled.id}?view=products", width=375, dark=True, locale="ko-KR", touch=True)
    expect(page.locator("#products > ul > li")).to_have_count(crawled.state.products)
    expect(page.get_by_text("쇼핑몰 카테고리와 다름").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert_accessible(page)
