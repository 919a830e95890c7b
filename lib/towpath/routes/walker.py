"""Run in the application's own Python, never imported: says as JSON which routes Django, Flask or FastAPI knows.

It is read from standard input by an interpreter that may be old and knows nothing of Towpath, so it uses the standard
library alone, as Python 3.8 has it.  What the application prints meanwhile goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any, Dict, Iterator, List, Tuple  # noqa: UP035 - Python 3.8

Row = Dict[str, Any]  # noqa: UP006
HTTP = ("get", "post", "put", "patch", "delete")


def layers(view: Any) -> Iterator[Any]:
    """A view and, where decorators wrapped it, what they wrapped."""
    seen: List[Any] = []  # noqa: UP006
    while view is not None and view not in seen:
        seen.append(view)
        yield view
        view = getattr(view, "__wrapped__", None)


def guarded(view: Any) -> bool:
    """Whether a decorator or a base class of Django or Flask-Login asks for a login."""
    for layer in layers(view):
        file = getattr(getattr(layer, "__code__", None), "co_filename", "").replace(os.sep, "/")
        if file.endswith(("django/contrib/auth/decorators.py", "flask_login/utils.py")):
            return True
    bases = getattr(kind_of(view), "__mro__", ())
    return any(base.__module__ == "django.contrib.auth.mixins" for base in bases)


def kind_of(view: Any) -> Any:
    """The class behind a view, None where it is a function."""
    return getattr(view, "view_class", None) or getattr(view, "cls", None)


def permissions(view: Any) -> List[str]:  # noqa: UP006
    """The names of the permissions that a view of Django REST framework asks for."""
    return [getattr(one, "__name__", str(one)) for one in getattr(kind_of(view), "permission_classes", ())]


def methods(view: Any) -> List[str]:  # noqa: UP006
    """The methods that a view of Django says that it answers; none where it says nothing."""
    actions = getattr(view, "actions", None)
    if actions:
        return sorted(one.upper() for one in actions if one in HTTP)
    kind = kind_of(view)
    if kind is not None:
        return sorted(one.upper() for one in kind.http_method_names if one in HTTP and hasattr(kind, one))
    for layer in layers(view):
        code = getattr(layer, "__code__", None)
        if code is not None and code.co_filename.replace(os.sep, "/").endswith("django/views/decorators/http.py"):
            held = dict(zip(code.co_freevars, layer.__closure__ or ()))  # noqa: B905 - Python 3.8
            if "request_method_list" in held:
                return sorted(one for one in held["request_method_list"].cell_contents if one.lower() in HTTP)
    return []


def django(settings: str) -> Iterator[Row]:
    """Every view that Django's resolver can reach."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    importlib.import_module("django").setup()
    resolver = importlib.import_module("django.urls").get_resolver()

    def walk(entries: Any, above: Tuple[List[str], ...], names: Tuple[str, ...]) -> Iterator[Row]:  # noqa: UP006
        for entry in entries:
            pattern = entry.pattern
            kind = "path" if hasattr(pattern, "_route") or hasattr(pattern, "language_prefix") else "regex"
            here = (*above, [kind, str(pattern)])
            if hasattr(entry, "url_patterns"):
                inner = (*names, entry.namespace) if entry.namespace else names
                yield from walk(entry.url_patterns, here, inner)
                continue
            view = entry.callback
            name = ":".join((*names, entry.name or getattr(view, "__name__", "")))
            yield {
                "path": here,
                "methods": methods(view),
                "name": name,
                "guarded": guarded(view),
                "permissions": permissions(view),
            }

    yield from walk(resolver.url_patterns, (), ())


def attribute(name: str) -> Any:
    """`module:attribute`; a function without parameters is called, as gunicorn does with `factory()`."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in (path or "app").replace("()", "").split("."):
        found = getattr(found, part)
    made = hasattr(found, "url_map") or hasattr(found, "openapi")
    return found if made else found()


def flask(name: str) -> Iterator[Row]:
    """Every rule of Flask's map of URLs."""
    app = attribute(name)
    for rule in app.url_map.iter_rules():
        asked = sorted(one for one in rule.methods if one.lower() in HTTP)
        yield {
            "path": [["flask", rule.rule]],
            "methods": asked,
            "name": rule.endpoint,
            "guarded": guarded(app.view_functions.get(rule.endpoint)),
            "permissions": [],
        }


def main(kind: str, of: str) -> None:
    """Write what there is to standard output, as one line of JSON."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the application prints is not the answer
    sys.path.insert(0, "")  # where it was started
    if kind == "openapi":
        found: Any = attribute(of).openapi()
    else:
        found = list(django(of) if kind == "django" else flask(of))
    out.write(json.dumps(found, default=str))
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
