"""Turns the JSON of answers into the dataclasses of `lookbook.answers`."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lookbook.answer import Answer
from lookbook.errors import UnexpectedAnswer

AnswerT = TypeVar("AnswerT", bound=Answer)


def read(kind: type[AnswerT], data: Any) -> AnswerT:
    """Return `data` as a `kind`. Members that this version does not know are kept in `raw` only.

    A field such as `from_` is read from the member `from`, which is a keyword of Python.

    Raises:
        UnexpectedAnswer: a member is missing or has an unexpected type.
    """
    if not isinstance(data, dict):
        raise UnexpectedAnswer(f"expected {kind.__name__} as an object, got {data!r:.80}")
    members: dict[str, Any] = {"raw": data}
    hashable: Any = kind
    for name, reader in _members(hashable):
        try:
            members[name] = reader(data.get(name.removesuffix("_")))
        except (TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"{kind.__name__}.{name}: got {data.get(name)!r:.80}") from error
    return kind(**members)


@cache
def _members(kind: type[Answer]) -> list[tuple[str, Callable[[Any], Any]]]:
    hints = get_type_hints(kind)
    return [(field.name, _reader(hints[field.name])) for field in dataclasses.fields(kind) if field.name != "raw"]


def _reader(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        (inner,) = [argument for argument in arguments if argument is not types.NoneType]
        reader = _reader(inner)
        return lambda value: None if value is None else reader(value)
    if origin is list:
        element = _reader(arguments[0])
        return lambda values: [element(value) for value in values]
    if isinstance(hint, type) and issubclass(hint, Answer):
        return lambda value: read(hint, value)
    if hint in {date, datetime}:
        parse: Callable[[Any], Any] = hint.fromisoformat
        return parse
    expected: type = origin or hint
    return lambda value: _checked(expected, value)


def _checked(expected: type, value: Any) -> Any:
    # JSON does not distinguish integers from floats.
    if not isinstance(value, (int, float) if expected is float else expected):
        raise TypeError(f"expected {expected.__name__}")
    return value
