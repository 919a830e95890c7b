"""Routes as OpenAPI, Django and Flask declare them, in one form."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from towpath.errors import BadInput
from towpath.routes.application import Application, inventory, joined, without_ours
from towpath.routes.openapi import load
from towpath.routes.route import Parameter, Route, find, shape

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://example.org/api/v1"}],
    "security": [{"key": []}],
    "components": {
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "login": {"type": "http", "scheme": "Bearer"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
        },
        "parameters": {"Page": {"name": "page", "in": "query", "schema": {"type": "integer"}, "example": 3}},
    },
    "paths": {
        "/things/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "get": {"operationId": "one", "security": [{"login": []}, {"cookie": []}]},
            "delete": {"operationId": "gone"},
        },
        "/things": {"get": {"security": [], "parameters": [{"$ref": "#/components/parameters/Page"}]}},
        "/both": {"get": {"security": [{}, {"login": []}]}, "x-more": {}, "trace": {}},
    },
}


def asked(tmp_path: Path, kind: str, of: str, **files: str) -> tuple[Route, ...]:
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return inventory(Application(kind, of), tmp_path, dict(os.environ)).routes


def test_a_document_says_methods_paths_parameters_and_who_may(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    found = inventory(Application("openapi", "openapi.json", also=("GET /docs",)), tmp_path, {})
    assert [(route.title, route.auth, route.writes) for route in found.routes] == [
        ("GET /api/v1/things/{id}", "bearer or cookie", False),
        ("DELETE /api/v1/things/{id}", "key in header", True),
        ("GET /api/v1/things", "none", False),
        ("GET /api/v1/both", "bearer or none", False),
        ("GET /docs", "none", False),
    ]
    assert found.routes[0].name == "one"
    assert found.routes[0].parameters == (Parameter("id", "path", True, {"type": "integer"}),)
    assert found.routes[2].parameters == (Parameter("page", "query", False, {"type": "integer", "example": 3}),)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is no JSON"),
        ('{"swagger": "2.0", "paths": {}}', "no OpenAPI 3"),
        ('{"openapi": "3.0.0"}', "no OpenAPI 3"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "openapi.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=what):
        load(tmp_path / "openapi.json", "openapi.json")
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path / "none.json", "none.json")


FASTAPI = """
from fastapi import FastAPI
print("said while it is imported")
app = FastAPI()
@app.get("/tasks/{task_id}")
def one(task_id: int): ...
def factory():
    return app
"""


@pytest.mark.parametrize("name", ["web:app", "web:factory", "web:factory()"])
def test_a_fastapi_application_is_asked_for_its_document(tmp_path: Path, name: str) -> None:
    assert [route.title for route in asked(tmp_path, "openapi", name, web=FASTAPI)] == ["GET /tasks/{task_id}"]


FLASK = """
from flask import Flask
from flask_login import login_required
app = Flask(__name__)
@app.route("/tasks/<int:id>", methods=["GET", "DELETE"])
def one(id): ...
@app.get("/files/<path:rest>")
@login_required
def files(rest): ...
"""


def test_flask_says_its_map_of_urls(tmp_path: Path) -> None:
    found = asked(tmp_path, "flask", "web:app", web=FLASK)
    assert {(route.title, route.name, route.auth) for route in found} == {
        ("GET /static/{filename:path}", "static", "none"),
        ("GET /tasks/{id}", "one", "none"),
        ("DELETE /tasks/{id}", "one", "none"),
        ("GET /files/{rest:path}", "files", "session"),
    }


SETTINGS = """
SECRET_KEY = "x"
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
"""
URLS = r"""
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.urls import include, path, re_path
from django.views import View
from django.views.decorators.http import require_GET, require_http_methods
class Tasks(LoginRequiredMixin, View):
    def get(self, request): ...
    def post(self, request): ...
@require_GET
def one(request, pk): ...
@login_required
@require_http_methods(["PUT", "DELETE"])
def change(request, pk): ...
def anything(request): ...
api = ([path("tasks/", Tasks.as_view(), name="tasks"), path("tasks/<uuid:pk>/", one, name="task")], "api")
urlpatterns = [
    path("api/", include(api)),
    re_path(r"^articles/(?P<year>[0-9]{4})/(\d+)/$", change, name="article"),
    path("media/<path:rest>", anything),
]
"""


def test_django_says_what_its_resolver_can_reach(tmp_path: Path) -> None:
    found = asked(tmp_path, "django", "settings", settings=SETTINGS, urls=URLS)
    assert [(route.title, route.name, route.auth) for route in found] == [
        ("GET /api/tasks/", "api:tasks", "session"),
        ("POST /api/tasks/", "api:tasks", "session"),
        ("GET /api/tasks/{pk}/", "api:task", "none"),
        ("DELETE /articles/{year}/{part2}/", "article", "session"),
        ("PUT /articles/{year}/{part2}/", "article", "session"),
        ("ANY /media/{rest:path}", "anything", "none"),
    ]
    assert found[2].parameters == (Parameter("pk", "path", True),)


@pytest.mark.parametrize(
    ("pieces", "path"),
    [
        ([("regex", r"^a\.b/(?P<name>[\w()-]+)/(?:x)?$")], "/a.b/{name}/"),
        ([("regex", r"^files/(?P<rest>.*)$")], "/files/{rest:path}"),
        ([("path", "shop/"), ("regex", r"^(\d+)/([^/]+)/\Z")], "/shop/{part1}/{part2}/"),
        ([("path", "")], "/"),
        ([("flask", "/a/<string(length=2):code>/<id>")], "/a/{code}/{id}"),
    ],
)
def test_paths_of_every_kind_have_one_form(pieces: list[tuple[str, str]], path: str) -> None:
    assert joined(pieces) == path


def test_an_application_that_breaks_is_named_with_its_last_word(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"web:app: does not say its routes: ZeroDivisionError: division by zero"):
        asked(tmp_path, "flask", "web:app", web="1 / 0")
    with pytest.raises(BadInput, match="cannot be started"):
        inventory(Application("flask", "web:app", "no/python"), tmp_path, {})


def test_the_applications_own_interpreter_is_asked_and_sees_no_token_of_ours(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    environment = without_ours({**os.environ, "CLOUDFLARE_API_TOKEN": "x", "AWS_SECRET_ACCESS_KEY": "x"})
    text = "import os, flask\napp = flask.Flask('a', static_folder=None)\n"
    text += "ours = '/'.join(['', *sorted({'CLOUDFLARE_API_TOKEN', 'AWS_SECRET_ACCESS_KEY'} & set(os.environ))])\n"
    text += "app.add_url_rule(ours or '/none', 'x', lambda: '')"
    (tmp_path / "web.py").write_text(text, encoding="utf-8")
    found = inventory(Application("flask", "web:app", "python"), tmp_path, environment | without_site(tmp_path))
    assert [route.path for route in found.routes] == ["/none"]


def without_site(tmp_path: Path) -> dict[str, str]:
    """A link to a Python knows nothing of the packages beside it."""
    return {"PYTHONPATH": os.pathsep.join(one for one in sys.path if "site-packages" in one) or str(tmp_path)}


def test_a_request_is_of_the_route_with_the_most_words_of_its_own() -> None:
    routes = [Route("GET", "/tasks/{id}"), Route("GET", "/tasks/all"), Route("ANY", "/files/{rest:path}")]
    assert find(routes, "GET", "/tasks/all") == routes[1]
    assert find(routes, "HEAD", "/tasks/7") == routes[0]
    assert find(routes, "POST", "/files/a/b") == routes[2]
    assert find(routes, "GET", "/tasks/7/more") is None
    assert find(routes, "POST", "/tasks/7") is None
    assert shape("GET /tasks/{task_id}") == shape("GET /tasks/{id}") != shape("GET /tasks/{id:path}")
