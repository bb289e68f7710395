"""Find the codes of the API's errors in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from api.answers.problems import Problem, invalid_field_problem, not_found_problem
from api.app import create_app
from api.connections.refusals import Refusal
from core.errors import LookbookError
from core.settings import PROJECT, Settings

E = TypeVar("E", bound=LookbookError)


def subclasses(error: type[E]) -> set[type[E]]:
    """Return an error class and every class derived from it."""
    return {error}.union(*(subclasses(derived) for derived in error.__subclasses__()))


def problem_codes(settings: Settings) -> set[str]:
    """Return every code that an error response of the API can have."""
    handled = [kind for kind in create_app(settings).error_handler_spec[None][None] if issubclass(kind, LookbookError)]
    codes = {error.code for kind in handled for error in subclasses(kind)}
    for path in (PROJECT / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            codes.update(_codes_in(node))
    return codes


def _codes_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _codes_of_call(node)
    elif isinstance(node, ast.Assign) and any(ast.unparse(target) == "code" for target in node.targets):
        yield from _texts(ast.walk(node.value))
    elif isinstance(node, ast.Dict):
        # The codes of plain HTTP errors, by status. The descriptions of responses have statuses as keys, too.
        pairs = zip(node.keys, node.values, strict=True)
        by_status = [value for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, int)]
        yield from (text for text in _texts(by_status) if re.fullmatch(r"[a-z_]+", text))


def _codes_of_call(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    arguments = call.args
    if name in (Problem.__name__, Refusal.__name__, "__init__"):
        # Problem(status, code, detail) and Refusal, too; subclasses pass the same to super().__init__.
        yield from _texts(arguments[1:2])
    elif name == not_found_problem.__name__:
        yield from (f"unknown_{kind}" for kind in _texts(arguments[:1]))
    elif name == invalid_field_problem.__name__:
        yield from _texts(arguments[2:3])


def _texts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
