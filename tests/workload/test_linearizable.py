"""The search for an order of what happened, on a register that is written and read."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload.linearizable import Search, Timed


def write(value: int, invoked: int, returned: int | None, **more: Any) -> Timed:
    return Timed(lambda _: value, invoked, returned, f"write {value}", **more)


def read(value: int, invoked: int, returned: int, **more: Any) -> Timed:
    def step(state: Any) -> Any:
        return state if state == value else None

    return Timed(step, invoked, returned, f"read {value}", **more)


class SearchTests(SynchronousTestCase):
    """Histories of a register that is 0 at first."""

    def found(self, *operations: Timed) -> bool | None:
        return Search(operations, 0).run()

    def test_one_after_the_other(self) -> None:
        """A read after a write sees it, and nothing older."""
        self.assertTrue(self.found(write(1, 1, 2), read(1, 3, 4)))
        self.assertFalse(self.found(write(1, 1, 2), read(0, 3, 4)))

    def test_at_once(self) -> None:
        """Those that overlap may be in either order, but in one."""
        first, second = write(1, 1, 5), write(2, 2, 6)
        self.assertTrue(self.found(first, second, read(1, 7, 8)))
        self.assertTrue(self.found(first, second, read(2, 7, 8)))
        self.assertFalse(self.found(first, second, read(1, 7, 8), read(2, 9, 10)))

    def test_unknown_outcome(self) -> None:
        """What may have been done takes effect late, or never, but only once."""
        unknown = write(1, 1, None)
        self.assertTrue(self.found(unknown, read(0, 2, 3)))
        self.assertTrue(self.found(unknown, read(0, 2, 3), read(1, 4, 5)))
        self.assertFalse(self.found(unknown, read(1, 2, 3), read(0, 4, 5)))
        late = write(1, 6, None)
        self.assertFalse(self.found(late, read(1, 4, 5)))

    def test_in_sequence(self) -> None:
        """A step that must follow another does, wherever its times would allow it."""
        operations = write(1, 1, 4), read(0, 2, 3)
        self.assertTrue(self.found(*operations))
        follows = read(0, 2, 3, after=0)
        self.assertFalse(self.found(operations[0], follows))

    def test_it_says_where(self) -> None:
        """A search in vain names what could not follow."""
        search = Search((write(1, 1, 2), read(0, 3, 4)), 0)

        self.assertFalse(search.run())
        assert search.stuck is not None
        self.assertEqual(search.stuck.told, "read 0")

    @given(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 9)),
            max_size=5,
        ),
        st.randoms(use_true_random=False),
    )
    def test_as_brute_force(self, drawn: list[Any], random: Any) -> None:
        """It finds an order exactly where trying all of them does."""
        operations = []
        moments = list(range(2 * len(drawn)))
        random.shuffle(moments)
        for number, (writes, value, chance) in enumerate(drawn):
            start, end = sorted(moments[2 * number : 2 * number + 2])
            if writes:
                operations.append(write(value, start, None if chance == 0 else end))
            else:
                operations.append(read(value, start, end))

        self.assertEqual(self.found(*operations), _brute_force(operations))


def _brute_force(operations: list[Timed]) -> bool:
    sure = [each for each in operations if each.returned is not None]
    maybe = [each for each in operations if each.returned is None]
    for count in range(len(maybe) + 1):
        for some in itertools.combinations(maybe, count):
            if any(map(_works, itertools.permutations([*sure, *some]))):
                return True
    return False


def _works(order: tuple[Timed, ...]) -> bool:
    state: Any = 0
    for place, operation in enumerate(order):
        for later in order[place + 1 :]:
            if later.returned is not None and later.returned < operation.invoked:
                return False
        state = operation.step(state)
        if state is None:
            return False
    return True
