"""Routes as an OpenAPI document (3.0 or 3.1) declares them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from towpath.errors import BadInput
from towpath.routes.route import METHODS, Parameter, Route

Document = Mapping[str, Any]
_SCHEMES = {"oauth2": "bearer", "openIdConnect": "bearer", "mutualTLS": "certificate"}
_DEEPEST = 50  # references that name each other


def load(path: Path, shown: str) -> Document:
    """Read an OpenAPI document.  Raises BadInput."""
    step = "let the application write it again, or correct traffic.application in mapping.yaml"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", object=shown, next=step) from error
    except ValueError:
        raise BadInput("is no JSON", object=shown, next=step) from None
    return checked(found, shown)


def checked(found: Any, shown: str) -> Document:
    """The document, if it is one that we read.  Raises BadInput."""
    version = found.get("openapi") if isinstance(found, dict) else None
    if not isinstance(version, str) or not version.startswith("3.") or not isinstance(found.get("paths"), dict):
        step = "give a document of OpenAPI 3 with its paths; convert an older one first"
        raise BadInput("is no OpenAPI 3 document", object=shown, next=step)
    return dict(found)


def routes(document: Document) -> tuple[Route, ...]:
    """Every operation of a document, in its order."""
    return tuple(Route(*_head(document, one), _parameters(document, one)) for one in operations(document))


Operation = tuple[str, str, Mapping[str, Any], Mapping[str, Any]]


def operations(document: Document) -> Iterator[Operation]:
    """Method, path, the operation, and the path's entry around it."""
    base = _base(document)
    for path, entry in document["paths"].items():
        item = resolved(document, entry)
        for method in METHODS:
            if isinstance(operation := item.get(method.lower()), dict):
                yield method, base + path, operation, item


def resolved(document: Document, value: Any) -> dict[str, Any]:
    """A value, or what its `$ref` names in the same document; {} for what is none of both."""
    for _ in range(_DEEPEST):
        if not isinstance(value, Mapping) or "$ref" not in value:
            break
        here: Any = document
        for part in str(value["$ref"]).removeprefix("#/").split("/"):
            here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, Mapping) else None
        value = here
    return dict(value) if isinstance(value, Mapping) and "$ref" not in value else {}


def _base(document: Document) -> str:
    """The path under which everything lies, where `servers` says one."""
    servers = document.get("servers") or [{}]
    url = str(servers[0].get("url", "")) if isinstance(servers[0], Mapping) else ""
    path = url.split("://", 1)[-1].partition("/")[2] if "://" in url else url.lstrip("/")
    return f"/{path.rstrip('/')}" if path.strip("/") else ""


def _head(document: Document, one: Operation) -> tuple[str, str, str, str]:
    method, path, operation, _ = one
    return method, path, str(operation.get("operationId", "")), auth(document, operation)


def auth(document: Document, operation: Mapping[str, Any]) -> str:
    """What the operation, or the whole document, asks of a client: `none`, or one word for each scheme it takes."""
    schemes = resolved(document, document.get("components", {})).get("securitySchemes", {})
    asked = operation.get("security", document.get("security") or [])
    words = [sorted(_word(resolved(document, schemes.get(name, {})), name) for name in one) for one in asked]
    return " or ".join(sorted({"+".join(one) or "none" for one in words})) or "none"


def _word(scheme: Mapping[str, Any], name: str) -> str:
    kind = str(scheme.get("type", name))
    if kind == "http":
        return str(scheme.get("scheme", "http")).lower()
    if kind == "apiKey":
        return "cookie" if scheme.get("in") == "cookie" else f"key in {scheme.get('in', 'header')}"
    return _SCHEMES.get(kind, kind)


def _parameters(document: Document, one: Operation) -> tuple[Parameter, ...]:
    _, _, operation, item = one
    found: dict[tuple[str, str], Parameter] = {}
    for value in [*item.get("parameters", []), *operation.get("parameters", [])]:
        plain = resolved(document, value)
        name, place = str(plain.get("name", "")), str(plain.get("in", ""))
        schema = {**resolved(document, plain.get("schema")), **_example(document, plain)}
        found[name, place] = Parameter(name, place, bool(plain.get("required", place == "path")), schema)
    return tuple(found.values())


def _example(document: Document, plain: Mapping[str, Any]) -> dict[str, Any]:
    if "example" in plain:
        return {"example": plain["example"]}
    first = next((resolved(document, one) for one in plain.get("examples", {}).values()), {})
    return {"example": first["value"]} if "value" in first else {}
