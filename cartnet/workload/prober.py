"""One who wants to know, once all was healed, whether every group takes writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.workload.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cartnet.workload.operator import Operator


DECIDED: Final = frozenset({"conflict", "not_found"})
"""What the log itself refuses a change of stock with: a write it was all the same."""


class Prober(Caller):
    """Makes accounts, each on a shard that chance chooses, until all were chosen.

    :ivar unproven: the groups that have not taken a write yet.
    :ivar done: it asks no more.
    """

    unproven: tuple[str, ...] = ()
    done = False

    async def probe(self, shards: Iterable[str], operator: Operator) -> None:
        self.unproven = ("lb", *shards, "it")
        await self._prove(operator)
        self.done = True

    async def _prove(self, operator: Operator) -> None:
        number = 0
        while len(self.unproven) > 1 and number < self.share.probes:
            number += 1
            name = f"{self.name}{number}"
            args = {"username": name, "password": self.share.password(name)}
            made = await self.do(
                name,
                "create_account",
                args,
                key=self.key(),
                anonymous=True,
                insist=True,
            )
            if made.ending != "ok":
                return
            self._proven("lb", made.answer["shard"])
        if operator.session is None:
            await operator.log_in(insist=True)
        item = self.share.items[0]
        changed = await operator.change_stock(item, 1, insist=True)
        refused = changed.refused if changed.ending == "refused" else None
        if changed.ending == "ok" or (refused and refused.code in DECIDED):
            self._proven("it")

    def _proven(self, *groups: str) -> None:
        self.unproven = tuple(each for each in self.unproven if each not in groups)
