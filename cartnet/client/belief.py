"""Who leads a group, as far as its members' words go."""

from __future__ import annotations

from cartnet.limits import LEADER_SEARCH_SECONDS_MAX, LEADER_SEARCH_SECONDS_MIN


class Belief:
    """The member that a client takes for the leader.

    A member's own word counts, and of two words the one of the higher term. Another
    member's word ("ask that one") counts until the named member has denied it.

    :ivar leader: the believed leader's name, or None.
    :ivar term: the term of the last claim that was believed.
    """

    def __init__(self) -> None:
        self.leader: str | None = None
        self.term = 0
        self._denied_at: dict[str, float] = {}

    def claims(self, name: str, term: int | None, now: float) -> None:
        """``name`` says that it leads; in which term a hello does not say."""
        if self._has_denied(name, now - LEADER_SEARCH_SECONDS_MIN):
            # It leads but does not serve yet: ask again in the next round, not at once.
            return
        if term is None:
            if self.leader is None:
                self.leader = name
        elif self.leader is None or term >= self.term:
            # Without a leader a lower term is taken too: a group can have been
            # founded anew, and an ex-leader's word is soon overruled.
            self.term = term
            self.leader = name

    def denies(self, name: str, named: str | None, now: float) -> None:
        """``name`` says that it does not lead, but that ``named`` does, if anyone."""
        self._denied_at[name] = now
        if self.leader is not None and self.leader != name:
            return
        if named is None or self._has_denied(named, now - LEADER_SEARCH_SECONDS_MAX):
            # Two members that name each other would have a call run to and fro between
            # them as fast as the network goes.
            self.leader = None
        else:
            self.leader = named

    def lost(self, name: str) -> None:
        """``name`` cannot be reached any longer, or not at all."""
        if self.leader == name:
            self.leader = None

    def _has_denied(self, name: str, since: float) -> bool:
        return self._denied_at.get(name, float("-inf")) > since
