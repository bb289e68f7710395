"""Documents, vendored files, samples and pages compared with the code, and the static checks of the code."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from api.app import create_app
from classifier.learning.data.irregularities import Irregularity
from classifier.learning.training import recipe_parts
from classifier.learning.training.recipe import Recipe, read_recipe
from classifier.learning.training.recipe_parts import Part
from cli.main import app
from core.settings import PROJECT, Settings
from db.views.exports import Export
from db.views.item_pages import ItemFilter
from samples.draw import SAMPLES

DOCUMENTS = [
    path
    for path in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "models").rglob("*.md")]
    if ".venv" not in path.parts
]


def settings_table() -> str:
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "as the limits allow" if field.default_factory else str(field.default)
        named = {"": "empty", "()": "empty", str(PROJECT / "models"): "`models` of the project"}
        default = named.get(default, f"`{default}`")
        rows.append(f"| `LOOKBOOK_{name.upper()}` | {default} | {' '.join(str(field.description).split())} |")
    return "\n".join(rows)


def test_the_table_of_settings_agrees_with_the_code() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    found = re.search(r"<!-- settings:begin -->\n(.*)\n<!-- settings:end -->", text, re.DOTALL)
    assert found
    assert found.group(1) == settings_table()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_between_documents_have_a_target(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


RECIPES = sorted((PROJECT / "recipes" / "training").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_training_recipe_is_valid_and_has_a_page(path: Path) -> None:
    recipe, _ = read_recipe(path)
    assert recipe.name == path.stem
    assert (PROJECT / "docs" / "recipes" / f"{path.stem}.md").is_file()
    assert f"({path.stem}.md)" in (PROJECT / "docs" / "recipes" / "README.md").read_text("utf-8")


def test_the_pages_on_recipes_explain_every_member_of_a_recipe() -> None:
    pages = ("recipes/README.md", "model-input.md", "backbones.md")
    text = "".join((PROJECT / "docs" / page).read_text("utf-8") for page in pages)
    parts = [Recipe, *(part for part in vars(recipe_parts).values() if isinstance(part, type))]
    members = {name for part in parts if issubclass(part, Part) for name in part.model_fields}
    explained = set(re.findall(r"`(?:\w+\.)*(\w+)`", text))
    # The recipes themselves show these.
    assert members - {"name", "taxonomy", "data", "notes"} - explained == set()


def test_every_decision_is_in_the_index() -> None:
    index = (PROJECT / "docs" / "adr" / "README.md").read_text("utf-8")
    records = [path.name for path in (PROJECT / "docs" / "adr").glob("0*.md")]
    assert [name for name in records if f"({name})" not in index] == []


def test_the_api_page_has_the_paths_of_the_openapi_document(settings: Settings) -> None:
    spec = create_app(settings).spec
    assert isinstance(spec, dict)
    served = {re.sub(r"\{\w+\}", "{}", path) for path in spec["paths"]}
    text = (PROJECT / "docs" / "http-api.md").read_text("utf-8")
    written = {re.sub(r"\{\w+\}", "{}", path) for path in re.findall(r"(?:GET |:8000)(/[\w/{}-]+)", text)}
    assert written - {"/openapi.json", "/docs"} == served


def test_the_openapi_document_is_3_1_and_its_errors_are_problems(settings: Settings) -> None:
    spec = create_app(settings).spec
    assert isinstance(spec, dict)
    assert spec["openapi"].startswith("3.1")
    for path, operations in spec["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")) and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_vendored_libraries_match_their_recorded_digests() -> None:
    vendor = PROJECT / "frontend" / "vendor"
    recorded = {
        f"{name}/{file}": facts["sha256"]
        for name, entry in json.loads((vendor / "vendor.json").read_text()).items()
        for file, facts in entry["files"].items()
    }
    present = {
        path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.rglob("*")
        if path.is_file() and path.parent != vendor and "__pycache__" not in path.parts
    }
    assert present == recorded


def test_the_script_draws_exactly_the_sample_pictures() -> None:
    assert {path.name for path in (PROJECT / "samples" / "pictures").iterdir()} == {sample.name for sample in SAMPLES}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(theme: str) -> None:
    css = (PROJECT / "frontend" / "css" / "lookbook.css").read_text("utf-8")
    block = re.search(rf'\[data-bs-theme="{theme}"\] \{{(.*?)\}}', css, re.DOTALL)
    assert block
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", block.group(1)))
    pairs = [(text, back) for text in ("ink", "ink-2", "accent", "doubt", "failure") for back in ("ground", "ground-2")]
    for text, back in [*pairs, ("on-accent", "accent-fill")]:
        high, low = sorted((luminance(colours[text]), luminance(colours[back])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, back)


@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["lint-imports"]]
)
def test_the_code_passes_the_static_checks(command: list[str]) -> None:
    tool = str(Path(sys.executable).parent / command[0])
    done = subprocess.run([tool, *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def commands_below(command: Any, words: list[str]) -> Iterator[tuple[list[str], Any]]:
    """Yield each command below this one after the words that call it."""
    if not isinstance(command, TyperGroup) or command.invoke_without_command:
        yield words, command
    if isinstance(command, TyperGroup):
        for word, inner in command.commands.items():
            yield from commands_below(inner, [*words, word])


def test_the_help_of_every_command_has_examples() -> None:
    helps = {
        " ".join(["lookbook", *words]): command.help or "" for words, command in commands_below(get_command(app), [])
    }
    assert "lookbook submit" in helps
    assert [name for name, text in helps.items() if not re.search(rf"\n    .*{name}", text)] == []


def test_no_help_loses_words_in_angle_brackets() -> None:
    checked = set()
    for words, command in commands_below(get_command(app), []):
        help_of_options = [getattr(option, "help", None) or "" for option in command.params]
        written = Counter(re.findall(r"/<\w+>/", " ".join([command.help or "", *help_of_options])))
        if written:
            shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, [*words, "--help"]).output
            assert Counter(re.findall(r"/<\w+>/", shown)) == written, words
            checked.add(" ".join(words))
    assert {"train", "dataset build", "models export"} <= checked


def test_the_page_of_exports_lists_the_columns_in_order() -> None:
    page = (PROJECT / "docs" / "exports.md").read_text("utf-8").partition("## Columns")[2].partition("\n| kind |")[0]
    labels = [{"id": label} for label in "abc"]
    columns = Export("job_x", "test@1", labels, 1, ItemFilter()).columns()
    expected = [(re.sub(r"(\w+)_1$", r"\1_1` … `\1_k", column.name), column.kind) for column in columns]
    assert re.findall(r"^\| `(.*?)` \| (\w+) \|", page, re.MULTILINE) == expected


def test_the_page_of_datasets_says_what_happens_with_each_irregularity() -> None:
    page = (PROJECT / "docs" / "datasets.md").read_text("utf-8")
    table = page.partition("| kind | what happens |\n|---|---|\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [kind.value for kind in Irregularity]
