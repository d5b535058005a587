"""The API's description (OpenAPI 3.1), from the table of routes and the types they use.

What is said of a request is what is checked: the same forms say both.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

import cartnet
from cartnet.calls.pricing import PricedLine
from cartnet.console.browser import cookie_name
from cartnet.console.errors import STATUS_OF
from cartnet.console.routes import PREFIX, ROUTES, Route
from cartnet.errors import Code
from cartnet.limits import (
    HTTP_BODY_BYTES_MAX,
    KEY_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    USERNAME_CHARACTERS_MAX,
)
from cartnet.shop.commands import Shortage

_SCHEMAS: Final = "#/components/schemas/"

_NAMES: Final = r"^(?:[ !#-\[\]-~]{1,100}|[^\x00-\x1f\x7f-\x9f]{1,37})$"
"""An item's names that certainly fit their bytes as JSON, which no schema can count."""

_FORMS: Final[dict[str, dict[str, Any]]] = {
    "username": {
        "type": "string",
        "pattern": rf"^[A-Za-z0-9._-]{{1,{USERNAME_CHARACTERS_MAX}}}$",
        "not": {"pattern": "^[Oo][Pp][Ee][Rr][Aa][Tt][Oo][Rr]$"},
        "description": f"1 to {USERNAME_CHARACTERS_MAX} characters of a-z 0-9 . _ -"
        " after NFKC and case folding; `operator` is reserved",
    },
    "password": {
        "type": "string",
        "format": "password",
        "pattern": f"^[^\\x00]{{{PASSWORD_CHARACTERS_MIN},{PASSWORD_CHARACTERS_MAX}}}$",
        "description": f"a string of {PASSWORD_CHARACTERS_MIN} to"
        f" {PASSWORD_CHARACTERS_MAX} characters",
    },
    "name": {
        "type": "string",
        "pattern": _NAMES,
        "description": "1 to 100 characters without control characters, at most 150"
        " bytes as JSON",
    },
}
"""Forms of which a schema can only say the greater part: what it permits is taken."""

_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same key, call and arguments have one effect, however often"
    f" sent: 1 to {KEY_CHARACTERS_MAX} printable ASCII characters",
    "schema": {
        "type": "string",
        "pattern": rf"^[!-~](?:[ -~]{{0,{KEY_CHARACTERS_MAX - 2}}}[!-~])?$",
    },
}
_STALE: Final = {
    "name": "stale",
    "in": "query",
    "description": "permits an answer without a majority, marked `stale: true`",
    "schema": {"type": "boolean", "default": False},
}
_REQUEST_ID: Final = {
    "X-Request-Id": {
        "description": "what the log calls this request",
        "schema": {"type": "string"},
    }
}
_RETRY_AFTER: Final = {
    "Retry-After": {"description": "seconds", "schema": {"type": "integer"}}
}

_ANY: Final[tuple[Code, ...]] = (
    "bad_request",
    "forbidden",
    "unavailable",
    "overloaded",
    "timeout",
    "internal",
)
"""What any call may be refused with."""


class Details(msgspec.Struct, omit_defaults=True):
    """What a program needs to go on; which of these are there depends on the code."""

    shortages: list[Shortage] = []
    total: int = 0
    lines: list[PricedLine] = []
    retry_after: float = 0
    leader: str | None = None
    groups: list[str] = []
    request_id: str = ""


class Problem(msgspec.Struct):
    """What was wrong, and what would be right."""

    code: Code
    message: str
    details: Details


class Error(msgspec.Struct):
    """The body of every error."""

    error: Problem


def document(*, secure: bool) -> dict[str, Any]:
    """Describe the API as it is served with (``secure``) or without TLS."""
    bodies = [route.arguments for route in ROUTES if route.in_body]
    answers = [route.answer for route in ROUTES if route.answer is not None]
    _, schemas = msgspec.json.schema_components(
        [*answers, *bodies, Error], ref_template=f"{_SCHEMAS}{{name}}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        operation = _operation(route, schemas)
        paths.setdefault(f"{PREFIX}{route.path}", {})[route.method.lower()] = operation
    paths[f"{PREFIX}/openapi.json"] = {"get": _self_description()}
    for body in bodies:
        schemas.pop(body.__name__, None)
    for schema in schemas.values():
        _tidy(schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cartnet",
            "version": cartnet.__version__,
            "description": "A replicated shop. Prices are integer minor units (cents),"
            " instants Unix seconds. Every error has the form of `Error`.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie_name(secure=secure),
                },
            },
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    forms = msgspec.json.schema_components([route.arguments])[1]
    fields = forms[route.arguments.__name__]
    operation: dict[str, Any] = {
        "operationId": route.call,
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "parameters": [
            *(_parameter(n, "path", fields, a) for n, a in route.in_path.items()),
            *(_parameter(name, "query", fields, name) for name in route.query),
        ],
        "responses": _responses(route),
    }
    if route.may_be_stale:
        operation["parameters"].append(_STALE)
    if route.takes_key:
        operation["parameters"].append(_KEY)
    if route.in_body:
        operation["requestBody"] = _body(route, fields)
    if route.asker != "anyone":
        operation["security"] = [{"bearer": []}, {"cookie": []}]
    return operation


def _parameter(
    name: str, place: str, fields: dict[str, Any], argument: str
) -> dict[str, Any]:
    schema = _form(argument, fields)
    schema = schema.get("anyOf", [schema])[0]  # A null is one that is left out.
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": {"type": "string", **schema},
    }


def _form(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    schema = dict(_FORMS.get(name, fields["properties"][name]))
    _tidy(schema)
    return schema


def _body(route: Route, fields: dict[str, Any]) -> dict[str, Any]:
    required = [name for name in fields["required"] if name in route.in_body]
    schema = {
        "type": "object",
        "properties": {name: _form(name, fields) for name in route.in_body},
        "required": required,
        "additionalProperties": False,
    }
    return {
        "required": bool(required),
        "description": f"at most {HTTP_BODY_BYTES_MAX} bytes",
        "content": {"application/json": {"schema": schema}},
    }


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "done", "headers": dict(_REQUEST_ID)}
    if route.answer is not None:
        success["content"] = _json(route.answer.__name__)
    if route.call in ("login", "logout"):
        success["headers"]["Set-Cookie"] = {"schema": {"type": "string"}}
    codes = {*_ANY, *route.refusals}
    if route.asker != "anyone":
        codes.add("unauthenticated")
    if route.is_write:
        codes.add("too_large")
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(STATUS_OF[code], []).append(code)
    if route.is_write:
        by_status[415] = ["bad_request"]
    return {
        str(route.status): success,
        **{str(each): _error(each, by_status[each]) for each in sorted(by_status)},
    }


def _error(status: int, codes: list[str]) -> dict[str, Any]:
    retry = _RETRY_AFTER if status in (429, 503) else {}
    return {
        "description": " or ".join(codes),
        "headers": {**_REQUEST_ID, **retry},
        "content": _json(Error.__name__),
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{schema}"}}}


def _self_description() -> dict[str, Any]:
    return {
        "operationId": "describe",
        "summary": "This description",
        "tags": ["openapi.json"],
        "responses": {
            "200": {
                "description": "OpenAPI 3.1",
                "headers": dict(_REQUEST_ID),
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        },
    }


def _tidy(schema: Any) -> None:
    """Patterns as ECMA has them; of a docstring its first paragraph."""
    if isinstance(schema, list):
        for each in schema:
            _tidy(each)
    elif isinstance(schema, dict):
        pattern, said = schema.get("pattern"), schema.get("description")
        if isinstance(pattern, str):
            schema["pattern"] = re.sub(r"^\\A(.*)\\Z$", r"^\1$", pattern)
        if isinstance(said, str):
            schema["description"] = re.sub(r"\s+", " ", said.split("\n\n")[0])
        for each in schema.values():
            _tidy(each)
