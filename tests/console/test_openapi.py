"""The description and the API are the same, looked at from either side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.openapi import document
from cartnet.console.routes import PREFIX, ROUTES
from cartnet.wire.arguments import CALLS, CONSOLE_CALLS
from tests.console.shopping import PASSWORD, Shopping, asset_folder

SAMPLES = {
    "{item}": "A",
    "{id}": "s1-1",
    "{name}": "s1r0",
    "{command}": "pause",
    "{group}": "s1",
}
BODIES: dict[str, Any] = {
    "create_account": {"username": "ann", "password": PASSWORD},
    "login": {"username": "ann", "password": PASSWORD},
    "put_item": {"name": "Apple", "price": 1, "stock": 2},
    "add_to_cart": {"item": "A", "quantity": 1},
    "set_quantity": {"quantity": 2},
    "checkout": {},
    "transfer": {"to": "s1r1"},
}
NOT_BY_HTTP = {
    *("watch_inventory", "watch_cart", "watch_cluster", "cancel", "get_log"),
    *("ping", "status", "heartbeat", "update_inventory"),
}


class DocumentTests(SynchronousTestCase):
    """What it says."""

    def setUp(self) -> None:
        self.shopping = Shopping(asset_folder(Path(self.mktemp())))
        self.addCleanup(self.shopping.stop)
        self.document: Any = self.shopping.api("GET", "/openapi.json").json
        self.operations = {
            (method.upper(), path): operation
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
        }

    def test_every_route_is_described(self) -> None:
        """Each route is in the document, once, and the document itself."""
        routes = [(route.method, f"{PREFIX}{route.path}") for route in ROUTES]
        routes.append(("GET", f"{PREFIX}/openapi.json"))

        self.assertEqual(sorted(self.operations), sorted(routes))
        names = [each["operationId"] for each in self.operations.values()]
        self.assertEqual(len(set(names)), len(names))

    def test_every_call_has_a_route(self) -> None:
        """Each call has a route, but for those that are for WebSockets or replicas."""
        calls = {*CALLS, *CONSOLE_CALLS} - NOT_BY_HTTP

        self.assertEqual(sorted(route.call for route in ROUTES), sorted(calls))

    def test_every_operation_answers(self) -> None:
        """Each documented operation is served, as documented: status, headers, body."""
        for (method, path), operation in self.operations.items():
            call = operation["operationId"]
            token = self.shopping.token()
            if path.startswith((f"{PREFIX}/cluster", f"{PREFIX}/inventory/")):
                token = self.shopping.operator()
            filled = re.sub(r"{\w+}", lambda found: SAMPLES[found[0]], path)
            answer = self.shopping.ask(
                method, filled, BODIES.get(call), Authorization=f"Bearer {token}"
            )
            self.assertIn(str(answer.status), operation["responses"], call)
            self.assertLess(answer.status, 500, call)
            said = operation["responses"][str(answer.status)]
            for header in said["headers"]:
                if header != "Retry-After":
                    self.assertIn(header.lower(), answer.headers, call)
            if "content" in said:
                self.check(answer.json, said["content"]["application/json"]["schema"])
            else:
                self.assertEqual(answer.body, b"", call)

    def check(self, value: Any, schema: Any) -> None:
        whole = {**schema, "components": self.document["components"]}
        jsonschema_rs.validate(whole, value)

    def test_requests_are_described_as_they_are_checked(self) -> None:
        """A body's fields, and a path's and a query's, are the call's arguments."""
        for route in ROUTES:
            operation = self.operations[route.method, f"{PREFIX}{route.path}"]
            named = {
                route.in_path.get(each["name"], each["name"])
                for each in operation["parameters"]
                if each["in"] != "header" and each["name"] != "stale"
            }
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                self.assertIs(content["schema"]["additionalProperties"], False)
                named |= content["schema"]["properties"].keys()
            arguments = set(route.arguments.__struct_fields__) - {"unchecked"}
            self.assertEqual(named, arguments, route.call)

    def test_sessions(self) -> None:
        """What needs a session says so, and is refused without one."""
        for (method, path), operation in self.operations.items():
            filled = re.sub(r"{\w+}", lambda found: SAMPLES[found[0]], path)
            body = BODIES.get(operation["operationId"])
            answer = self.shopping.ask(method, filled, body)
            if "security" in operation:
                self.assertEqual(answer.refusal, (401, "unauthenticated"), path)
                self.assertIn("401", operation["responses"])
            elif operation["operationId"] != "login":
                self.assertLess(answer.status, 400, path)

    def test_cookie(self) -> None:
        """The cookie's name is the one in use, with TLS and without."""
        over_tls: Any = self.shopping.ask(
            "GET", f"{PREFIX}/openapi.json", secure=True
        ).json
        for description, name in (
            (self.document, "cartnet_session"),
            (over_tls, "__Host-cartnet_session"),
        ):
            schemes = description["components"]["securitySchemes"]
            self.assertEqual(schemes["cookie"]["name"], name)

    def test_patterns(self) -> None:
        """Patterns are in the dialect that readers of such documents know."""
        text = str(document(secure=False))

        self.assertNotIn("\\A", text)
        self.assertNotIn("\\Z", text)
        self.assertNotIn(":ivar", text)
