"""One thing broken on purpose, for as long as a context lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

Replace = Callable[[Any, str, Any], Any]
"""Puts a replacement in place of an owner's attribute; gives what was there."""


@dataclass(frozen=True)
class Mutant:
    """One of them.

    :ivar name: ``M`` and a number.
    :ivar broken: what is broken, as what the product then does.
    :ivar put: puts the replacements in place.
    """

    name: str
    broken: str
    put: Callable[[Replace], None]

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The product is broken until the context ends; one at a time."""
        with ExitStack() as restored:

            def replace(owner: Any, attribute: str, replacement: Any) -> Any:
                former = vars(owner)[attribute]
                restored.callback(setattr, owner, attribute, former)
                setattr(owner, attribute, replacement)
                return former

            self.put(replace)
            yield


MUTANTS: dict[str, Mutant] = {}
"""All that were defined, by name."""


def mutant(name: str, broken: str) -> Callable[[Callable[[Replace], None]], None]:
    """Define a mutant by the function that puts its replacements in place."""

    def define(put: Callable[[Replace], None]) -> None:
        assert name not in MUTANTS, f"there are two {name}"
        MUTANTS[name] = Mutant(name, broken, put)

    return define
