from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import HELLO_STRING_CHARACTERS_MAX
from cartnet.wire.hello import (
    Handshake,
    HelloRefused,
    Identity,
    Side,
    is_hello,
    is_supervisors_hello,
    peer_mismatch,
)
from tests.wire.garbage import lines_like

SECRET = b"a long random string"


def identity(replica: str = "s1r0", **fields: Any) -> Identity:
    whole = {
        "cluster": "demo",
        "group": "s1",
        "purpose": "peer",
        "members": "abc",
        "incarnation": "1",
        "file": f"file of {replica}",
        **fields,
    }
    return Identity(replica=replica, **whole)


def side(
    which: Side,
    mine: Identity,
    *,
    secret: bytes = SECRET,
    challenge: str | None = None,
    dialled: str | None = None,
) -> Handshake:
    return Handshake(
        which,
        lambda: mine,
        challenge or f"challenge of {mine.replica}",
        secret,
        lambda theirs: peer_mismatch(mine, theirs, dialled),
    )


def shake(dialer: Handshake, listener: Handshake) -> list[bytes]:
    """Let both sides talk until they are done; return all that was said."""
    said = [dialer.start()]
    turns = [listener, dialer]
    while not (dialer.done and listener.done):
        answer = turns[0].receive(said[-1])
        turns.reverse()
        if answer is not None:
            said.append(answer)
    return said


class HandshakeTests(SynchronousTestCase):
    """Both sides prove that they know the secret."""

    def test_two_members_meet(self) -> None:
        """Each learns who the other is, in four lines."""
        dialer, listener = (
            side("dialer", identity()),
            side("listener", identity("s1r1")),
        )

        said = shake(dialer, listener)

        self.assertEqual(len(said), 4)
        self.assertTrue(all(b"\n" not in line for line in said))
        self.assertTrue(is_hello(said[0]))
        self.assertEqual(dialer.peer, identity("s1r1"))
        self.assertEqual(listener.peer, identity())

    def test_without_a_secret(self) -> None:
        """A cluster on loopback may have none, which is a secret like any other."""
        shake(
            side("dialer", identity(), secret=b""),
            side("listener", identity("s1r1"), secret=b""),
        )

    def test_identity_is_that_of_the_moment(self) -> None:
        """What changes while a process runs is what it is when it is said."""
        leads = [False]
        listener = Handshake(
            "listener",
            lambda: identity("s1r1", leads=leads[0]),
            "b",
            SECRET,
            lambda theirs: None,
        )
        leads[0] = True
        dialer = side("dialer", identity())

        shake(dialer, listener)

        assert dialer.peer is not None
        self.assertTrue(dialer.peer.leads)

    def test_other_secret(self) -> None:
        """Neither side believes one who does not know the secret."""
        dialer = side("dialer", identity(), secret=b"other")
        listener = side("listener", identity("s1r1"))
        with self.assertRaises(HelloRefused) as raised:
            shake(dialer, listener)
        self.assertEqual(str(raised.exception), "the secret differs from the one here")
        self.assertFalse(listener.done)

        # A listener that believes everybody is not believed.
        dialer = side("dialer", identity())
        liar = side("listener", identity("s1r1"), secret=b"other")
        hello = liar.receive(dialer.start())
        assert hello is not None
        proof = dialer.receive(hello)
        assert proof is not None
        self.assertRaises(HelloRefused, dialer.receive, proof)
        self.assertFalse(dialer.done)

    def test_captured_lines_are_of_no_use(self) -> None:
        """What was said on one connection proves nothing on the next."""
        said = shake(
            side("dialer", identity(), challenge="1"),
            side("listener", identity("s1r1"), challenge="2"),
        )

        listener = side("listener", identity("s1r1"), challenge="3")
        listener.receive(said[0])
        self.assertRaises(HelloRefused, listener.receive, said[2])

        dialer = side("dialer", identity(), challenge="4")
        dialer.start()
        dialer.receive(said[1])
        self.assertRaises(HelloRefused, dialer.receive, said[3])

    def test_proofs_cannot_be_reflected(self) -> None:
        """A dialer's own proof, sent back to it, proves nothing."""
        dialer = side("dialer", identity())
        mirror = side("listener", identity("s1r1"), secret=b"unknown")
        hello = mirror.receive(dialer.start())
        assert hello is not None
        proof = dialer.receive(hello)
        assert proof is not None

        self.assertRaises(HelloRefused, dialer.receive, proof)

    def test_changed_hello_breaks_the_proof(self) -> None:
        """Who changes a hello under way cannot prove it."""
        dialer, listener = (
            side("dialer", identity()),
            side("listener", identity("s1r1")),
        )
        hello = listener.receive(dialer.start().replace(b"s1r0", b"s1r2"))
        assert hello is not None
        proof = dialer.receive(hello)
        assert proof is not None

        self.assertRaises(HelloRefused, listener.receive, proof)

    def test_garbage(self) -> None:
        """Whatever bytes come, they are refused in one printable line, or right."""
        said = shake(side("dialer", identity()), side("listener", identity("s1r1")))
        for line in lines_like([said[0], said[2]], count=10_000):
            listener = side("listener", identity("s1r1"))
            try:
                listener.receive(line)
                listener.receive(line)
            except HelloRefused as refused:
                self.assertTrue(str(refused).isprintable(), line)
                self.assertLess(len(str(refused)), 400)
            self.assertFalse(listener.done)


class MismatchTests(SynchronousTestCase):
    """Who does not belong together, and how that is said."""

    def refusal(self, theirs: Identity, *, dialled: str | None = None) -> str:
        listener = side("listener", identity("s1r1"), dialled=dialled)
        with self.assertRaises(HelloRefused) as raised:
            shake(side("dialer", theirs), listener)
        self.assertIsNone(listener.peer)
        return str(raised.exception)

    def test_each_difference_is_told(self) -> None:
        """One line says what differs, and both values."""
        for fields, says in [
            ({"cluster": "shop"}, 'cluster "shop", here "demo"'),
            ({"group": "s2"}, 'group "s2", here "s1"'),
            (
                {"members": "def"},
                "s1r0 has other members of group s1 configured:"
                ' their hash is "def", here "abc"',
            ),
            ({"replica": "s1r1"}, "s1r1 runs elsewhere too"),
        ]:
            self.assertEqual(
                self.refusal(identity(**{"replica": "s1r0", **fields})), says
            )
        self.assertEqual(
            self.refusal(identity(), dialled="s1r2"),
            "s1r0 answers at the address of s1r2",
        )

    def test_groups_that_were_formed_apart(self) -> None:
        """Group ids count where both sides have them."""
        mine = identity("s1r1", group_id="g1", founders={"s1r1": "f1"})
        self.assertIsNone(peer_mismatch(mine, identity(), None))
        self.assertEqual(
            peer_mismatch(mine, identity(group_id="g2"), None),
            'group id "g2", here "g1"',
        )
        # Whose file counts changes with every replica that lost its own.
        other = identity(founders={"s1r1": "f2"})
        self.assertIsNone(peer_mismatch(mine, other, None))

    def test_another_version(self) -> None:
        """A later release is told by its version, whatever else it says."""
        listener = side("listener", identity("s1r1"))
        hello = b'{"hello":{"new":1},"version":2,"more":[]}'
        with self.assertRaises(HelloRefused) as raised:
            listener.receive(hello)
        self.assertEqual(str(raised.exception), "protocol version 2, here 1")

    def test_long_hello(self) -> None:
        """A hello's strings are bounded."""
        long = identity("x" * (HELLO_STRING_CHARACTERS_MAX + 1))
        self.assertIn("came instead of a hello", self.refusal(long))

    def test_supervisors_hello(self) -> None:
        """A supervisor's hello is told from any other line, whatever its bytes."""
        peers = side("dialer", identity()).start()
        line = side("dialer", identity(purpose="supervisor")).start()
        self.assertTrue(is_supervisors_hello(line))
        self.assertFalse(is_supervisors_hello(peers))
        self.assertFalse(is_supervisors_hello(line.replace(b"s1r0", b"s1\xff")))
        for other in lines_like([line, peers], count=10_000):
            is_supervisors_hello(other)

    def test_first_lines(self) -> None:
        """A hello is told from a client's request."""
        hello = side("dialer", identity()).start()
        spaced = msgspec.json.format(hello, indent=1).replace(b"\n", b" ")
        self.assertTrue(is_hello(hello))
        self.assertTrue(is_hello(spaced))
        for line in [b'{"id":1,"call":"hello"}', b"hello", b"", b'["hello"]']:
            self.assertFalse(is_hello(line))
