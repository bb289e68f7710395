"""What a target of fuzzing consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One parser, with inputs to begin with."""

    name: str
    check: Callable[[bytes], None]
    """Gives an input to the parser. It catches the errors that the parser declares, and raises everything else."""
    seeds: tuple[bytes, ...]
    """Valid inputs, which are mutated."""
    tokens: tuple[bytes, ...] = ()
    """Bytes that mean something to the parser."""
