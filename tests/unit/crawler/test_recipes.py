"""Site recipes: what they find, and the errors of wrong ones."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from core.errors import RecipeInvalid
from crawler.extraction import PageKind, Rule, extract
from crawler.recipes import SITES, Recipe, find_recipe, load_recipe, load_recipes

SEARCH = """
match: {hosts: ["*.shop.example"], paths: ["/search/*"]}
list:
  source: next_data
  path: props.list[].item
  query: query
  page: {param: pagingIndex, size: 2, max: 3}
fields: {image: imageUrl, title: title, price: price, currency: "'KRW'", url: url, category: category}
delay: 1.5
label_from: query
"""
CARDS = """
match: {hosts: [shop.example]}
list: {source: css, path: li.card}
fields: {image: img, title: "b::text", price: .now, url: "a::attr(href)"}
label_from: breadcrumb
"""


def recipe(tmp_path: Path, text: str, name: str = "example") -> Recipe:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, "utf-8")
    return load_recipe(path)


def search_page(count: int) -> bytes:
    items = [
        {
            "item": {
                "imageUrl": f"/i/{n}.jpg",
                "title": f"Coat {n}",
                "price": "39000",
                "url": f"/p/{n}",
                "category": "Coats",
            }
        }
        for n in range(count)
    ]
    data = json.dumps({"props": {"list": items, "banner": {"imageUrl": "/banner.jpg", "title": "Sale", "price": 1}}})
    return f'<script id="__NEXT_DATA__" type="application/json">{data}</script>'.encode()


def test_pictures_of_a_search_get_the_search_word_as_label(tmp_path: Path) -> None:
    url = "https://m.shop.example/search/all?query=%EC%BD%94%ED%8A%B8&pagingIndex=2"
    found = extract(search_page(2), url, recipe=recipe(tmp_path, SEARCH))
    firsts = [
        (
            picture.product.title,
            picture.product.price,
            picture.product.currency,
            picture.product.category,
            picture.label,
            picture.rule,
        )
        for picture in found.pictures
    ]
    assert firsts == [(f"Coat {n}", Decimal(39000), "KRW", "Coats", "코트", Rule.RECIPE) for n in range(2)]
    assert found.links.products == ("https://m.shop.example/p/0", "https://m.shop.example/p/1")
    assert (found.kind, found.recipe) == (PageKind.LISTING, "example")


def test_a_list_continues_while_its_pages_are_full_and_below_the_maximum(tmp_path: Path) -> None:
    read = recipe(tmp_path, SEARCH)
    url = "https://m.shop.example/search/all?query=a&pagingIndex="
    assert read.next_page(f"{url}1", 2) == f"{url}2"
    assert read.next_page(f"{url}1", 1) is None
    assert read.next_page(f"{url}3", 2) is None
    assert read.next_page("https://m.shop.example/search/all?query=a", 2) == f"{url}2"
    assert extract(search_page(2), f"{url}1", recipe=read).links.pages == (f"{url}2",)
    assert extract(search_page(1), f"{url}1", recipe=read).links.pages == ()
    assert read.with_query(f"{url}7", "b c") == "https://m.shop.example/search/all?query=b+c&pagingIndex=1"


def test_cards_are_read_by_css(tmp_path: Path) -> None:
    cards = "".join(
        f'<li class="card"><a href="/p/{n}"><img src="data:," data-src="/i/{n}_200x.jpg" '
        f'data-srcset="/i/{n}_800x.jpg 800w">'
        f'<b>Coat {n}</b></a><s>59,000원</s><i class="now">{n}9,000원</i></li>'
        for n in (1, 2)
    )
    trail = '<nav class="breadcrumb"><a href="/">Women</a> › <a href="/c">Coats</a></nav>'
    page = f"{trail}<ul>{cards}</ul>".encode()
    found = extract(page, "https://shop.example/c", recipe=recipe(tmp_path, CARDS))
    assert [
        (picture.url[-10:], picture.product.title, picture.product.price, picture.label, picture.rule)
        for picture in found.pictures
    ] == [(f"{n}_800x.jpg", f"Coat {n}", Decimal(n * 10_000 + 9_000), "Coats", Rule.RECIPE) for n in (1, 2)]


def test_a_page_that_does_not_match_its_recipe_is_read_by_the_other_rules(tmp_path: Path) -> None:
    page = b'<script id="__NEXT_DATA__">[1]</script><img src="/i/a.jpg"><h1>Coat</h1><b>39,000\xec\x9b\x90</b>'
    found = extract(
        page, "https://m.shop.example/search/x", recipe=recipe(tmp_path, SEARCH.replace("  page:", "  # page:"))
    )
    assert [(picture.product.title, picture.rule) for picture in found.pictures] == [("Coat", Rule.IMG)]


def test_the_most_specific_recipe_is_chosen(tmp_path: Path) -> None:
    for name, hosts, paths in (
        ("wide", "*.shop.example", ""),
        ("host", "m.shop.example", ""),
        ("deep", "m.shop.example", "/c/*"),
    ):
        match = f"match: {{hosts: ['{hosts}']" + (f", paths: ['{paths}']" if paths else "") + "}"
        recipe(tmp_path, f"{match}\nlist: {{source: json, path: a}}\nfields: {{image: b}}\n", name)
    recipes = load_recipes(tmp_path)
    chosen = [
        find_recipe(recipes, f"https://{page}")
        for page in ("m.shop.example/c/1", "m.shop.example", "w.shop.example", "other")
    ]
    assert [found and found.name for found in chosen] == ["deep", "host", "wide", None]


@pytest.mark.parametrize(
    ("change", "line", "fault"),
    [
        (
            ("source: next_data", "source: html"),
            4,
            'list.source: expected one of next_data, script, json, css, got "html"',
        ),
        (("image: imageUrl, ", ""), 8, "fields: expected image, got title, price, currency, url, category"),
        (("size: 2", "size: 0"), 7, "list.page.size: expected at least 1, got 0"),
        (("size: 2", "size: many"), 7, 'list.page.size: expected a integer, got "many"'),
        (
            ("delay: 1.5", "colour: red"),
            1,
            "recipe: expected only match, list, fields, delay, render, label_from, got colour",
        ),
        (
            ("props.list[].item", "props.list[.item"),
            5,
            'list.path: expected a JMESPath expression, got "props.list[.item"',
        ),
        (("title: title", "title: '['"), 8, 'fields.title: expected a JMESPath expression, got "["'),
        (
            ('"*.shop.example"', "http://shop"),
            2,
            'match.hosts.0: expected a host name, with or without *. before it, got "http://shop"',
        ),
        (('["/search/*"]', "[search]"), 2, 'match.paths.0: expected a path that begins with /, got "search"'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_error_of_a_recipe_names_file_line_member_expectation_and_value(
    tmp_path: Path, change: tuple[str, str], line: int, fault: str
) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        recipe(tmp_path, SEARCH.replace(*change))
    assert caught.value.detail.startswith(f"{tmp_path / 'example.yaml'}:{line}: {fault}")


def test_all_errors_of_a_recipe_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        recipe(tmp_path, "match: {hosts: []}\nlist: {source: css}\nfields: {image: 1}\n")
    assert len(caught.value.detail.splitlines()) == 3


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "match: &a [*a]", "\x00"])
def test_the_error_names_a_file_that_is_no_recipe(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeInvalid, match=r"example\.yaml"):
        recipe(tmp_path, text)


def test_a_wrong_selector_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"4: fields.price: expected a CSS selector, got \"..now\""):
        recipe(tmp_path, CARDS.replace(".now", "..now"))


def test_the_projects_recipes_are_valid_and_short() -> None:
    Draft202012Validator.check_schema(json.loads((SITES / "schema.json").read_text("utf-8")))
    assert {recipe.name for recipe in load_recipes()} >= {"shopping-search", "shop-cards"}
    for path in SITES.glob("*.yaml"):
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        assert len(lines) <= 24
        assert yaml.safe_load(path.read_text("utf-8"))
