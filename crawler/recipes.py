"""Site recipes: YAML in recipes/sites/, data only, checked against schema.json there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import jmespath
import yaml
from cssselect import SelectorError
from jmespath.exceptions import JMESPathError
from jsonschema import Draft202012Validator, ValidationError
from parsel.csstranslator import HTMLTranslator

from core.errors import RecipeInvalid
from core.settings import PROJECT

SITES = PROJECT / "recipes" / "sites"


class Source(StrEnum):
    """Where on a page a recipe's products are."""

    NEXT_DATA = "next_data"
    JSON = "json"
    CSS = "css"


class LabelFrom(StrEnum):
    """Which text is a weak label."""

    QUERY = "query"
    CATEGORY = "category"
    BREADCRUMB = "breadcrumb"


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list goes on."""

    param: str
    size: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to read one site. The members are those of schema.json, which describes them."""

    name: str
    """The file's name without its ending."""
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    source: Source
    path: str
    fields: dict[str, str] = field(hash=False)
    query: str | None = None
    page: Paging | None = None
    delay: float | None = None
    label_from: LabelFrom | None = None

    def matches(self, url: str) -> bool:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        return any(fnmatchcase(host, glob) for glob in self.hosts) and any(fnmatchcase(path, g) for g in self.paths)

    def query_of(self, url: str) -> str | None:
        """The word that a page of results was searched with, if its URL says so."""
        values = parse_qs(urlsplit(url).query).get(self.query, []) if self.query else []
        return values[0].strip() or None if values else None

    def with_query(self, url: str, query: str) -> str:
        """The first page of results of another word."""
        changes = {self.query: query} if self.query else {}
        if self.page:
            changes |= {self.page.param: "1"}
        return _with(url, changes)

    def next_page(self, url: str, products: int) -> str | None:
        """The page behind the one at `url`, which has `products`; None if that was the last."""
        if self.page is None or products < (self.page.size or 1):
            return None
        number = parse_qs(urlsplit(url).query).get(self.page.param, ["1"])[0]
        following = int(number) + 1 if number.isdecimal() and len(number) < 7 else 2
        if self.page.max is not None and following > self.page.max:
            return None
        return _with(url, {self.page.param: str(following)})


def load_recipe(path: Path) -> Recipe:
    """The recipe of one file.

    Raises:
        RecipeInvalid: it is none; the message has a line for each fault: file, place, what was expected and what came.
    """
    try:
        text = path.read_text("utf-8")
        tree = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise RecipeInvalid(f"{path}: expected a file that can be read, got {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeInvalid(f"{path}: expected YAML, got {' '.join(str(error).split())}") from error
    faults = [(list(error.absolute_path), _said(error)) for error in _validator().iter_errors(data)]
    faults = faults or _wrong_expressions(data)
    if faults:
        lines = [f"{path}:{_line(tree, place)}: {_dotted(place)}: {fault}" for place, fault in faults]
        raise RecipeInvalid("\n".join(lines))
    return _recipe(path.stem, data)


def load_recipes(folder: Path = SITES) -> list[Recipe]:
    """The recipes of a folder, those for the fewest pages first.

    Raises:
        RecipeInvalid: one of them is none.
    """
    recipes = [load_recipe(path) for path in sorted(folder.glob("*.yaml"))]
    return sorted(
        recipes, key=lambda one: (any("*" in host for host in one.hosts), -max(map(len, one.paths)), one.name)
    )


def find_recipe(recipes: list[Recipe], url: str) -> Recipe | None:
    """The recipe for a page."""
    return next((recipe for recipe in recipes if recipe.matches(url)), None)


def _recipe(name: str, data: dict[str, Any]) -> Recipe:
    match, of_list, page = data["match"], data["list"], data["list"].get("page")
    return Recipe(
        name=name,
        hosts=tuple(match["hosts"]),
        paths=tuple(match.get("paths", ["/*"])),
        source=Source(of_list["source"]),
        path=of_list["path"],
        fields=dict(data["fields"]),
        query=of_list.get("query"),
        page=Paging(**page) if page else None,
        delay=data.get("delay"),
        label_from=LabelFrom(data["label_from"]) if "label_from" in data else None,
    )


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((SITES / "schema.json").read_text("utf-8")))


def _said(error: ValidationError) -> str:
    """What was expected, and what came."""
    came: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "enum":
            expected = f"one of {', '.join(wanted)}"
        case "type":
            expected = {"object": "a mapping", "array": "a list", "string": "text"}.get(wanted, f"a {wanted}")
        case "required":
            missing = [name for name in wanted if name not in came]
            return f"expected {' and '.join(missing)}, got {', '.join(came) or 'nothing'}"
        case "additionalProperties":
            known = schema["properties"]
            unknown = [str(name) for name in came if name not in known]
            return f"expected only {', '.join(known)}, got {', '.join(unknown)}"
        case "minItems" | "minLength":
            expected = "something"
        case "minimum" | "maximum":
            expected = f"at {'least' if error.validator == 'minimum' else 'most'} {wanted}"
        case "pattern":
            expected = "a path that begins with /" if wanted == "^/" else "a host name, or one behind *."
        case _:
            return error.message
    return f"expected {expected}, got {_shown(came)}"


def _wrong_expressions(data: dict[str, Any]) -> list[tuple[list[str | int], str]]:
    expressions: list[tuple[list[str | int], str]] = [(["list", "path"], data["list"]["path"])]
    expressions += [(["fields", name], text) for name, text in data["fields"].items()]
    faults: list[tuple[list[str | int], str]] = []
    for place, text in expressions:
        try:
            if data["list"]["source"] == Source.CSS:
                HTMLTranslator().css_to_xpath(text)
            else:
                jmespath.compile(text)
        except SelectorError as error:
            faults.append((place, f"expected a CSS selector, got {_shown(text)} ({error})"))
        except (JMESPathError, ValueError) as error:
            reason = str(error).splitlines()[0]
            faults.append((place, f"expected a JMESPath expression, got {_shown(text)} ({reason})"))
    return faults


def _line(tree: Any, place: list[str | int]) -> int:
    """The line, from 1, of the innermost part of a document that is still on the way to `place`."""
    node, line = tree, 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def _dotted(place: list[str | int]) -> str:
    return ".".join(map(str, place)) or "recipe"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


def _with(url: str, changes: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | changes
    return urlunsplit(parts._replace(query=urlencode(query)))
