"""The names that a page gives to its elements."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from crawler.words import words

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|_")
_NAMES = frozenset(
    words(
        "class id data-test data-testid data-test-id data-tid data-qa data-auto data-automation data-automation-id"
        " data-cy data-hook data-marker data-selenium"
    )
)
"""The attributes that name an element. Those for tests have words also where classes are generated (`b_1Ann0GbF9t`)."""


def name_of(element: Any) -> str:
    """Return the names of an element in lower case, with hyphens between the words of `oldPrice`."""
    names = [value for attribute, value in element.items() if attribute in _NAMES]
    return _in_words(" ".join(names)) if names else ""


@lru_cache(maxsize=4096)
def _in_words(names: str) -> str:
    return _CAMEL.sub("-", names).lower()
