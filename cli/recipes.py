"""Commands for site recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cli.output import AsJson, out, print_json, printable, table
from core.errors import RecipeInvalid
from core.settings import Settings

if TYPE_CHECKING:
    from crawler.extraction import Extraction
    from crawler.recipes import Recipe

app = typer.Typer(help="Site recipes: how to read the pages of one shop.", no_args_is_help=True)

_SHOWN = 3
"""The number of values that are shown per field."""


@app.command("list")
def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes in recipes/sites/, the most specific first. The first recipe that matches a page is used.

    Examples:

        lookbook recipes list

        lookbook recipes list --json
    """
    from crawler.recipes import load_recipes

    recipes = load_recipes()
    if as_json:
        print_json([asdict(recipe) for recipe in recipes])
        return
    rows = table("recipe", "hosts", "paths", "source", "fields", "label", wrapping="fields")
    for recipe in recipes:
        where = (", ".join(recipe.hosts) or "any", ", ".join(recipe.paths), recipe.source.value)
        rows.add_row(recipe.name, *where, ", ".join(recipe.fields), recipe.label_from or "–")
    out.print(rows)


@app.command("check")
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Recipe files. By default, all in recipes/sites/.")] = None,
) -> None:
    """Check recipes against the schema, with their expressions and selectors. Every fault is printed with its line.

    Examples:

        lookbook recipes check

        lookbook recipes check my-shop.yaml
    """
    from crawler.recipes import SITES, load_recipe

    paths = files or sorted(SITES.glob("*.yaml"))
    faults = []
    for path in paths:
        try:
            recipe = load_recipe(path)
        except RecipeInvalid as error:
            faults.append(error.detail)
        else:
            out.print(f"{path}: ok, {recipe.source} for {', '.join(recipe.hosts) or 'any host'}", markup=False)
    if faults:
        raise RecipeInvalid("\n".join(faults))


@app.command("try")
def try_recipe(
    url: Annotated[str, typer.Argument(help="The URL of the page.")],
    recipe: Annotated[
        str | None, typer.Option(help="The name or the file of a recipe. By default, the recipe that matches the page.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Read the page from this file instead of fetching it.", exists=True)
    ] = None,
    query: Annotated[str | None, typer.Option(help="The search word, if it is not in the URL.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read one page. Print what each field of the recipe yields, and which rule found each picture.

    The guarded fetcher fetches the page. LOOKBOOK_FETCH_ALLOW permits private networks.

    Examples:

        lookbook recipes try "https://shop.example/search/all?query=coat"

        lookbook recipes try https://shop.example/c/coats --recipe my-shop.yaml --file saved.html --json
    """
    from crawler.extraction import extract

    body, final, headers, status = _page(url, file)
    found = extract(body, final, headers, status, recipe=_recipe_for(final, body, recipe), query=query)
    if as_json:
        print_json(_as_json(found))
    else:
        _show(found)


def _page(url: str, file: Path | None) -> tuple[bytes, str, dict[str, str], int]:
    if file is not None:
        return file.read_bytes(), url, {}, 200
    from core.fetching import Fetcher

    with Fetcher(allow=Settings.read().fetch_allow) as fetcher:
        fetched = fetcher.get(url)
    return fetched.body, fetched.url, dict(fetched.headers), fetched.status


def _recipe_for(url: str, body: bytes, given: str | None) -> Recipe | None:
    from crawler.recipes import SITES, load_recipe, load_recipes, recipe_of_page

    if given is None:
        return recipe_of_page(load_recipes(), url, body)
    path = Path(given)
    return load_recipe(path if path.suffix in {".yaml", ".yml"} else SITES / f"{given}.yaml")


def _as_json(found: Extraction) -> dict[str, Any]:
    data = asdict(found)
    data["left_out"] = dict(sorted(found.left_out.items()))
    data["product"] = found.product.as_json()
    for picture, shown in zip(found.pictures, data["pictures"], strict=True):
        shown["product"] = picture.product.as_json()
    return data


def _show(found: Extraction) -> None:
    out.print(_clean(f"{found.url}: {found.kind}, {len(found.pictures)} pictures, recipe {found.recipe or 'none'}"))
    if found.yields:
        fields = table("field", "yields", "first values", wrapping="first values")
        for name, values in found.yields.items():
            present = [value for value in values if value]
            fields.add_row(name, f"{len(present)} of {len(values)}", _clean(" · ".join(present[:_SHOWN])))
        out.print(fields)
    if found.pictures:
        pictures = table("rank", "rule", "title", "price", "category", "label", "picture", wrapping="title")
        for picture in found.pictures:
            product = picture.product
            price = "–" if product.price is None else f"{product.price} {product.currency or ''}".strip()
            texts = (product.title, price, product.category, picture.label, picture.url)
            pictures.add_row(str(picture.rank), picture.rule.value, *(_clean(text or "–") for text in texts))
        out.print(pictures)
    out.print(f"left out: {_counts(list(found.left_out.items())) or 'nothing'}")
    links = found.links
    counts = [("products", len(links.products)), ("further pages", len(links.pages)), ("others", len(links.others))]
    out.print(f"links: {_counts(counts)}")


def _counts(pairs: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in pairs)


def _clean(text: str) -> Text:
    """Return foreign text in which neither markup nor control characters have an effect."""
    return Text(printable(text))
