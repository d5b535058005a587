"""The API does what its description says, whatever schemathesis makes of that."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.web import api

SMALL = {"lb": 1, "s1": 1, "it": 1}
ANN = {"username": "ann", "password": "correct horse"}


class DescribedTests(SynchronousTestCase):
    """Requests made up from the description, against a running console."""

    def fuzz(self, cluster: Cluster, *options: str) -> None:
        """Have it make up requests; fail with its report if it finds a violation."""
        script = Path(sysconfig.get_path("scripts")) / "schemathesis"
        url = f"http://127.0.0.1:{cluster.console_port}/api/v1/openapi.json"
        found = subprocess.run(
            [
                *(sys.executable, str(script), "run", url),
                *("--seed=1", "--max-examples=10", "--no-color"),
                *("--continue-on-failure", "--max-response-time=4"),
                *options,
            ],
            cwd=cluster.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def bearer(self, cluster: Cluster, credentials: Any) -> tuple[str, ...]:
        token = api(cluster, "POST", "/session", credentials)["session"]
        # A logout would let the rest of the run find closed doors alone.
        return ("-H", f"Authorization: Bearer {token}", "--exclude-operation-id=logout")

    def test_schemathesis(self) -> None:
        """Neither a stranger, nor a shopper, nor the operator finds a violation."""
        with running(Path(self.mktemp()), SMALL, console=True) as cluster:
            cluster.start_all()
            password = cluster.operator_password()
            operator = {"username": "operator", "password": password}
            api(cluster, "POST", "/accounts", ANN)
            self.fuzz(cluster)
            self.fuzz(cluster, *self.bearer(cluster, ANN))
            # Not from answers to requests: it would kill the replicas that it reads of.
            phases = "--phases=examples,coverage,fuzzing"
            self.fuzz(cluster, *self.bearer(cluster, operator), phases)
