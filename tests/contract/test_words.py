"""Every code that people see has words: in the command line, and in both languages of the pages.

The codes are read from the program, so that a new one without words fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from cli import crawling as crawl_commands
from cli.crawls import VERDICTS
from cli.main import app
from core.item_errors import ItemError, NothingFound
from core.settings import PROJECT, Settings
from crawler import process
from crawler.extraction.found import LeftOut, PageKind
from db.steps import crawling, expanding
from db.tables import DeliveryStatus, ItemStatus, JobSource, JobStatus, UrlKind, UrlReason, UrlState
from db.tables.jobs import FINISHED
from lookbook.crawl_answers import UrlCounts
from tests.contract.problem_codes import problem_codes, subclasses
from tests.contract.script_literals import Words, read_literal

SCRIPTS = PROJECT / "frontend" / "js"
WORDS = sorted((SCRIPTS / "words").glob("*.js"))
PAGES = sorted(path.stem for path in (PROJECT / "frontend" / "pages").glob("*.html") if path.stem != "layout")
LANGUAGES = ("en", "ko")
ASKS = r'data-i18n(?:-label|-placeholder)?="(\w+)"|\bsay\("(\w+)"'

NOT_SHOWN = {
    "bad_cursor": "the pages send the cursors that the server gave them",
    "cross_site": "the pages are Lookbook's own",
    "expectation_failed": "browsers expect only 100-continue",
    "explanation_late": "an image: the viewer has one sentence for every failure",
    "export_broken": "a download: the browser reports it",
    "headers_too_large": "the pages send few headers",
    "idempotency_key_reused": "the pages send no Idempotency-Key",
    "key_required": "without a session, the pages go to the login page",
    "many_sources": "the pages send one source",
    "method_not_allowed": "the pages use the methods that exist",
    "no_explanation": "an image: the viewer has one sentence for every failure",
    "no_image": "the pages send a picture",
    "no_source": "the pages send a source",
    "unknown_region": "an image: the viewer has one sentence for every failure",
    "no_thumbnail": "an image",
    "not_found": "the pages use the paths that exist",
    "not_reviewable": "the pages have no reviews",
    "range_not_satisfiable": "the pages ask for whole files",
    "request_in_progress": "the pages send no Idempotency-Key",
    "unknown_delivery": "the pages have no deliveries",
    "unknown_key": "the pages have no keys",
    "unknown_label": "the pages filter by labels that the server gave them",
    "unknown_review": "the pages have no reviews",
    "unsupported_transfer_coding": "browsers announce the length of a body",
    "unsupported_version": "browsers send HTTP/1.1",
    "uri_too_long": "the pages ask for short URLs",
    "unsupported_media_type": "the pages send the types that the server reads",
}
"""Problem codes that no page can show, and why."""


def test_the_command_line_has_words_for_every_verdict_of_a_crawl() -> None:
    assert VERDICTS.keys() == verdicts()


def test_the_help_of_the_command_line_names_every_status_to_filter_by() -> None:
    kinds: dict[str, type[StrEnum]] = {
        "jobs --status": JobStatus,
        "jobs --source": JobSource,
        "items --status": ItemStatus,
        "deliveries": DeliveryStatus,
    }
    for place, kind in kinds.items():
        assert {member.value for member in kind} - words_of(help_of(place)) == set(), place


@pytest.mark.parametrize(("choice", "kind"), [(crawl_commands.UrlState, UrlState), (crawl_commands.UrlKind, UrlKind)])
def test_the_command_line_filters_urls_by_every_state_and_kind(choice: type[StrEnum], kind: type[StrEnum]) -> None:
    assert {member.value for member in choice} == {member.value for member in kind}


def test_the_command_line_counts_urls_in_every_state() -> None:
    assert get_type_hints(UrlCounts).keys() - {"raw", "seen"} == {state.value for state in UrlState}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("group", ["verdicts", "states", "kinds"])
def test_pages_have_words_for_verdicts_and_for_the_states_and_kinds_of_urls(group: str, language: str) -> None:
    codes = {"verdicts": verdicts(), "states": {*UrlState}, "kinds": {*UrlKind}}[group]
    assert words(language, group).keys() == {str(code) for code in codes}


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_have_words_for_every_reason_that_a_url_has(language: str) -> None:
    # An error that ends a crawl early is the reason of the URLs that still wait.
    early = verdicts() - {error.code for error in subclasses(NothingFound)}
    reasons = {code.value for code in [*LeftOut, *PageKind, *UrlReason]} | early
    assert reasons - words(language, "reasons").keys() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_have_words_for_every_error_of_an_item(language: str) -> None:
    assert {error.code for error in subclasses(ItemError)} - words(language, "errors").keys() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_have_words_for_every_problem_that_they_can_show(settings: Settings, language: str) -> None:
    codes = problem_codes(settings)
    assert {"invalid_key", "rate_limited", "database_unavailable", "unknown_job"} <= codes
    assert NOT_SHOWN.keys() - codes == set()
    assert codes - NOT_SHOWN.keys() - words(language, "errors").keys() == set()


def test_pages_count_urls_in_every_state() -> None:
    states = re.search(r"const STATES = \[(.*?)\];", (SCRIPTS / "job" / "crawl.js").read_text("utf-8"), re.DOTALL)
    assert states is not None
    assert set(re.findall(r'"(\w+)"', states[1])) == {state.value for state in UrlState}


def test_pages_know_which_statuses_of_a_job_are_final() -> None:
    function = re.search(
        r"function isFinished\(job\) \{(.*?)\n\}", (SCRIPTS / "shared" / "api.js").read_text("utf-8"), re.DOTALL
    )
    assert function is not None
    assert set(re.findall(r'job\.status === "(\w+)"', function[1])) == {status.value for status in FINISHED}


@pytest.mark.parametrize("script", WORDS, ids=lambda path: path.stem)
def test_both_languages_of_the_pages_have_the_same_sentences(script: Path) -> None:
    sentences = read_literal(script, "WORDS")
    english, korean = (dict(flat(part(sentences, language))) for language in LANGUAGES)
    assert list(english) == list(korean)
    placeholders = [
        {key: sorted(re.findall(r"\{\w+\}", sentence)) for key, sentence in texts.items()}
        for texts in (english, korean)
    ]
    assert placeholders[0] == placeholders[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_every_sentence_that_it_asks_for(page: str) -> None:
    asked = {key for text in texts_of(page) for keys in re.findall(ASKS, text) for key in keys if key}
    imported = {
        match for script in modules_of(page) for match in re.findall(r"words/(\w+)\.js", script.read_text("utf-8"))
    }
    known = {key for name in imported for key in part(read_literal(SCRIPTS / "words" / f"{name}.js", "WORDS"), "en")}
    assert asked - known == set()


def test_every_sentence_is_used() -> None:
    quoted = {key for page in PAGES for text in texts_of(page) for key in re.findall(r'"(\w+)"', text)}
    sentences = {key for key, sentence in all_words("en").items() if isinstance(sentence, str)}
    # Some keys are chosen from a table before they are asked for.
    assert sentences - quoted == set()


def modules_of(page: str) -> set[Path]:
    """Return the scripts that a page loads: its main.js, and what that imports."""
    found: set[Path] = set()
    waiting = [SCRIPTS / page / "main.js"]
    while waiting:
        script = waiting.pop().resolve()
        if script not in found and script.suffix == ".js" and "vendor" not in script.parts:
            found.add(script)
            imports = re.findall(r'(?:from|import) "(\.[^"]+)"', script.read_text("utf-8"))
            waiting += [script.parent / path for path in imports]
    return found


def texts_of(page: str) -> list[str]:
    """Return the templates and the scripts of a page, without the words."""
    templates = [PROJECT / "frontend" / "pages" / f"{name}.html" for name in ("layout", page)]
    scripts = [path for path in modules_of(page) if path.parent.name != "words"]
    return [path.read_text("utf-8") for path in (*templates, *scripts)]


def verdicts() -> set[str]:
    """Return the codes of the errors that end a crawl.

    These are the errors that the crawl's process and steps use, and the one of a crawl that is given up.
    """
    errors = {error for module in (process, crawling) for error in item_errors_of(module)}
    given_up: type[ItemError] = next(
        table[JobSource.CRAWL]
        for table in vars(expanding).values()
        if isinstance(table, dict) and JobSource.CRAWL in table
    )
    return {error.code for error in errors | {given_up} | subclasses(NothingFound)}


def item_errors_of(module: ModuleType) -> Iterator[type[ItemError]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, ItemError) and value is not ItemError:
            yield value


def help_of(place: str) -> str:
    """Return the help of a command (`jobs`) or of one of its options (`jobs --status`)."""
    name, _, option = place.partition(" ")
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    command = root.commands[name]
    if not option:
        return str(command.help)
    options = [parameter for parameter in command.params if option in parameter.opts]
    assert isinstance(options[0], TyperOption)
    return str(options[0].help)


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def all_words(language: str) -> Words:
    found: Words = {}
    for script in WORDS:
        found |= part(read_literal(script, "WORDS"), language)
    return found


def words(language: str, group: str) -> Words:
    """Return the words of a page for a group of codes."""
    return part(all_words(language), group)


def part(whole: Words, name: str) -> Words:
    found = whole[name]
    assert isinstance(found, dict)
    return found


def flat(whole: Words, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in whole.items():
        if isinstance(value, str):
            yield prefix + key, value
        else:
            yield from flat(value, f"{prefix}{key}.")
