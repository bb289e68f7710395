"""Site recipes: YAML files in recipes/sites/ that contain only data. `schema.json` there describes and checks them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

import jmespath
import yaml
from cssselect import SelectorError
from jmespath.exceptions import JMESPathError
from jsonschema import Draft202012Validator, ValidationError
from lxml import etree
from parsel.csstranslator import HTMLTranslator

from core.errors import RecipeInvalid
from core.settings import PROJECT
from core.sources.names import storable
from crawler.urls import encoded, parameters

SITES = PROJECT / "recipes" / "sites"
_MAX_EXPRESSION = 300
"""Characters of the longest selector or JMESPath expression. Longer ones could be nested too deeply to be applied."""
_MAX_DEPTH = 20
"""Levels of lists and mappings. A recipe needs four."""


class Source(StrEnum):
    """The part of a page that contains the products of a recipe."""

    NEXT_DATA = "next_data"
    SCRIPT = "script"
    JSON = "json"
    CSS = "css"


class LabelFrom(StrEnum):
    """The text that becomes a weak label."""

    QUERY = "query"
    CATEGORY = "category"
    BREADCRUMB = "breadcrumb"


@dataclass(frozen=True, slots=True)
class Paging:
    """How the URL of the next page of a list is built."""

    param: str
    size: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """Instructions for reading one site. schema.json describes the members."""

    name: str
    """The name of the file without its extension."""
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    source: Source
    path: str
    fields: dict[str, str] = field(hash=False)
    query: str | None = None
    page: Paging | None = None
    delay: float | None = None
    label_from: LabelFrom | None = None
    render: bool = False
    contains: tuple[str, ...] = ()
    script: str | None = None
    urls: dict[str, str] = field(default_factory=dict, hash=False)
    follow: bool = False

    def matches(self, url: str) -> bool:
        """Return whether the recipe is for a URL. Recipes of shop engines are for pages: see `recognises`."""
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        return any(fnmatchcase(host, glob) for glob in self.hosts) and any(fnmatchcase(path, g) for g in self.paths)

    def recognises(self, url: str, body: bytes) -> bool:
        """Return whether a page is one of the shop engine of this recipe."""
        path = urlsplit(url).path or "/"
        return any(fnmatchcase(path, glob) for glob in self.paths) and any(
            text.encode() in body for text in self.contains
        )

    def list_url(self, url: str) -> str | None:
        """Return the URL of the list that has the products of a page, or None if the recipe names none."""
        path = urlsplit(url).path or "/"
        found = next((target for glob, target in self.urls.items() if fnmatchcase(path, glob)), None)
        return urljoin(url, found.replace("{path}", path.rstrip("/"))) if found else None

    def query_of(self, url: str) -> str | None:
        """Return the search word in the URL of a page of results, or None."""
        values = parse_qs(urlsplit(url).query).get(self.query, []) if self.query else []
        return values[0].strip() or None if values else None

    def with_query(self, url: str, query: str) -> str:
        """Return the URL of the first page of results for another search word."""
        changes = {self.query: query} if self.query else {}
        if self.page:
            changes |= {self.page.param: "1"}
        return _with_parameters(url, changes)

    def next_page(self, url: str, products: int) -> str | None:
        """Return the URL of the page after `url`, which has this number of products, or None after the last page."""
        if self.page is None or products < (self.page.size or 1):
            return None
        number = parse_qs(urlsplit(url).query).get(self.page.param, ["1"])[0]
        following = int(number) + 1 if number.isdecimal() and len(number) < 7 else 2
        if self.page.max is not None and following > self.page.max:
            return None
        return _with_parameters(url, {self.page.param: str(following)})


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a file.

    Raises:
        RecipeInvalid: the file is not a valid recipe. Each line of the message describes one fault: file, line,
            location, expected value and actual value.
    """
    try:
        text = path.read_text("utf-8")
        _check_form(text)
        tree = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise RecipeInvalid(f"{path}: expected a file that can be read, got {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML raises ValueError for a date that does not exist, and Python for a number of thousands of digits.
        raise RecipeInvalid(f"{path}: expected YAML, got {' '.join(str(error).split())}") from error
    faults = [(list(error.absolute_path), _expected_and_actual(error)) for error in _validator().iter_errors(data)]
    faults = faults or _expression_faults(data)
    if faults:
        lines = [f"{path}:{_line(tree, location)}: {_dotted(location)}: {fault}" for location, fault in faults]
        raise RecipeInvalid("\n".join(lines))
    return _recipe(path.stem, data)


def _check_form(text: str) -> None:
    """Check the form of a recipe before its values are built. Aliases and depth can make them endless.

    Raises:
        ValueError: it is not that of a recipe.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        place = f"in line {event.start_mark.line + 1}" if event.start_mark else ""
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_DEPTH} levels {place}")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise ValueError(f"an anchor or an alias {place}, which recipes do not have")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise ValueError(f"a tag {place}, which recipes do not have")
        if isinstance(event, yaml.ScalarEvent) and storable(event.value) != event.value:
            raise ValueError(f"a character {place} that no encoding has")


def load_recipes(folder: Path = SITES) -> list[Recipe]:
    """Read all recipes of a folder. Those that match the fewest pages come first.

    Raises:
        RecipeInvalid: a file is not a valid recipe.
    """
    recipes = [load_recipe(path) for path in sorted(folder.glob("*.yaml"))]
    return sorted(
        recipes,
        key=lambda recipe: (any("*" in host for host in recipe.hosts), -max(map(len, recipe.paths)), recipe.name),
    )


def find_recipe(recipes: list[Recipe], url: str) -> Recipe | None:
    """Return the first recipe that matches a URL, or None."""
    return next((recipe for recipe in recipes if recipe.matches(url)), None)


def recipe_of_page(recipes: list[Recipe], url: str, body: bytes) -> Recipe | None:
    """Return the recipe of a page's host, or that of the shop engine that the page shows, or None."""
    engines = (recipe for recipe in recipes if recipe.contains and not recipe.urls)
    return find_recipe(recipes, url) or next((recipe for recipe in engines if recipe.recognises(url, body)), None)


def _recipe(name: str, data: dict[str, Any]) -> Recipe:
    match, product_list, page = data["match"], data["list"], data["list"].get("page")
    return Recipe(
        name=name,
        hosts=tuple(match.get("hosts", ())),
        paths=tuple(match.get("paths", ["/*"])),
        source=Source(product_list["source"]),
        path=product_list["path"],
        fields=dict(data["fields"]),
        query=product_list.get("query"),
        page=Paging(**page) if page else None,
        delay=data.get("delay"),
        label_from=LabelFrom(data["label_from"]) if "label_from" in data else None,
        render=data.get("render", False),
        contains=tuple(data["match"].get("contains", ())),
        script=product_list.get("script"),
        urls=dict(product_list.get("urls", {})),
        follow=product_list.get("follow", False),
    )


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((SITES / "schema.json").read_text("utf-8")))


def _expected_and_actual(error: ValidationError) -> str:
    """Return a text with the expected value and the actual value."""
    actual: Any = error.instance
    allowed: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "enum":
            expected = f"one of {', '.join(allowed)}"
        case "type":
            expected = {"object": "a mapping", "array": "a list", "string": "text"}.get(allowed, f"a {allowed}")
        case "required":
            missing = [name for name in allowed if name not in actual]
            return f"expected {' and '.join(missing)}, got {_names(actual)}"
        case "additionalProperties":
            known = schema["properties"]
            return f"expected only {', '.join(known)}, got {_names(name for name in actual if name not in known)}"
        case "anyOf":
            return f"expected hosts or contains, got {_names(actual)}"
        case "minItems" | "minLength" | "minProperties":
            expected = "a value that is not empty"
        case "minimum" | "maximum":
            expected = f"at {'least' if error.validator == 'minimum' else 'most'} {allowed}"
        case "pattern":
            expected = "a path that begins with /" if allowed == "^/" else "a host name, with or without *. before it"
        case _:
            return error.message
    return f"expected {expected}, got {_excerpt(actual)}"


def _expression_faults(data: dict[str, Any]) -> list[tuple[list[str | int], str]]:
    check = _check_selector if data["list"]["source"] == Source.CSS else jmespath.compile
    expressions: list[tuple[list[str | int], str, Callable[[str], object]]] = [
        (["list", "path"], data["list"]["path"], check),
        *((["fields", name], text, check) for name, text in data["fields"].items()),
    ]
    if "script" in data["list"]:
        expressions.append((["list", "script"], data["list"]["script"], _check_selector))
    found = ((location, _fault(text, check)) for location, text, check in expressions)
    return [(location, fault) for location, fault in found if fault is not None]


def _fault(text: str, check: Callable[[str], object]) -> str | None:
    """Return what is wrong with an expression, or None."""
    if len(text) > _MAX_EXPRESSION:
        return f"expected at most {_MAX_EXPRESSION} characters, got {len(text):,}"
    try:
        check(text)
    except RecursionError:
        return f"expected an expression of fewer levels, got {_excerpt(text)}"
    except (SelectorError, etree.XPathError) as error:
        return f"expected a CSS selector, got {_excerpt(text)} ({error})"
    except (JMESPathError, ValueError) as error:
        return f"expected a JMESPath expression, got {_excerpt(text)} ({str(error).splitlines()[0]})"
    return None


def _check_selector(selector: str) -> None:
    # Only the application shows that a namespace is unknown.
    etree.XPath(HTMLTranslator().css_to_xpath(selector))(etree.Element("html"))


def _line(tree: Any, location: list[str | int]) -> int:
    """Return the line number, from 1, of a location, or of the innermost part of the document that contains it."""
    node, line = tree, 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def _dotted(location: list[str | int]) -> str:
    return ".".join(map(str, location)) or "recipe"


def _names(names: Iterable[object]) -> str:
    """Return the first names of a mapping. In YAML, they can be numbers and dates, too."""
    return ", ".join(str(name)[:80] for name in islice(names, 20)) or "nothing"


def _excerpt(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _with_parameters(url: str, changes: dict[str, str]) -> str:
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parameters(parts.query) if name not in changes]
    changed = [(name, value.encode().decode("latin-1")) for name, value in changes.items()]
    return urlunsplit(parts._replace(query=encoded(kept + changed)))
