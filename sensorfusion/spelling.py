"""What a person has typed: values of KEY=VALUE, and names that are almost right."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from typing import Any


def literal(text: str) -> Any:
    """A Python literal, or else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say of an unknown name: the known one that is like it, or all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names) or 'nothing'}"
