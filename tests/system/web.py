"""A console's HTTP API, as a blocking client sees it."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.system.clusters import Cluster


def api(
    cluster: Cluster, method: str, path: str, body: Any = None, **headers: str
) -> Any:
    """Ask once; return the success body, and fail on anything else."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", cluster.console_port, timeout=10
    )
    try:
        data = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(
            method,
            f"/api/v1{path}",
            data,
            {"Content-Type": "application/json", **named},
        )
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status < 300, (answer.status, content)
    return json.loads(content) if content else None
