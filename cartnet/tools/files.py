"""Where the replicas' files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.tools.failure import ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from cartnet.topology.configuration import Configuration


def present(configuration: Configuration) -> dict[str, Path]:
    """Find the files that there are, by their replicas' names.

    :raises ToolError: there is none, or this user may not look.
    """
    found: dict[str, Path] = {}
    for name in configuration.topology.names:
        path = configuration.data / f"{name}.db"
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ToolError(
                f"{path} cannot be looked at: {error.strerror}; be the user that the"
                " cluster runs as, or tell another folder with --data"
            ) from None
        found[name] = path
    if not found:
        raise nothing_in(configuration.data)
    return found


def nothing_in(data: Path) -> ToolError:
    """No replica has a file there, or none has begun with one."""
    return ToolError(f"no replica has a file in {data}: has the cluster ever run here?")
