"""What ties a child process to the one that supervises it: two pipes.

The child's standard input is a pipe that nothing is ever written to: it ends when the
supervisor does, however that happens, and then the child stops. On file descriptor 3
the child says, once, that its replica has started.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Final

from cartnet.limits import STOP_SECONDS_MAX

SUPERVISED: Final = "CARTNET_SUPERVISED"
"""Set in the environment of a child that a supervisor waits for."""

STARTED_FD: Final = 3
STARTED: Final = b"started\n"


def hold(fd: int = 0) -> None:
    """Stop this process as SIGTERM does when the pipe ``fd`` ends.

    A thread waits for it, so that it also holds before a reactor runs and while one is
    busy. A process that does not stop in time is ended.
    """
    threading.Thread(target=_wait_for_end, args=(fd,), daemon=True).start()


def _wait_for_end(fd: int) -> None:
    with suppress(OSError):
        while os.read(fd, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(STOP_SECONDS_MAX + 1)
    os._exit(1)


def report_started() -> None:
    """Tell the supervisor that the replica has started; nothing where there is none."""
    if os.environ.pop(SUPERVISED, None) is None:
        return
    with suppress(OSError):
        os.write(STARTED_FD, STARTED)
        os.close(STARTED_FD)
