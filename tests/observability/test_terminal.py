"""Lines for the terminal."""

from __future__ import annotations

import io
import sys

from twisted.trial.unittest import SynchronousTestCase

from cartnet.observability.terminal import complain, give_up, say


class TerminalTests(SynchronousTestCase):
    """Where lines go."""

    def test_streams(self) -> None:
        """Lines reach the streams of the start, whatever has replaced them since."""
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "__stdout__", out)
        self.patch(sys, "__stderr__", err)

        say("serving")
        complain("port in use")

        self.assertEqual(out.getvalue(), "serving\n")
        self.assertEqual(err.getvalue(), "port in use\n")

    def test_nobody_there(self) -> None:
        """A terminal that is gone stops nobody."""
        gone = io.StringIO()
        gone.close()
        self.patch(sys, "__stdout__", gone)
        self.patch(sys, "__stderr__", None)

        say("serving")
        complain("port in use")

    def test_giving_up(self) -> None:
        """A process that cannot start ends with one line and a status."""
        err = io.StringIO()
        self.patch(sys, "__stderr__", err)

        with self.assertRaises(SystemExit) as caught:
            give_up("port 1\n  is in use")

        self.assertEqual(caught.exception.code, 1)
        self.assertEqual(err.getvalue(), "cartnet: port 1 is in use\n")
