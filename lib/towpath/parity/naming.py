"""The same request as another application calls it."""

from __future__ import annotations

import re
from dataclasses import replace

from towpath.errors import BadInput
from towpath.routes.corpus import Recorded

_PART = re.compile(r"\{([^{}]*)\}")


def renamed(request: Recorded, target: str) -> Recorded:
    """A filled request as another application calls its route, `PUT /items/{id}`; the same with `target` "".

    Variable parts are taken over by their names, or in their order where they are called otherwise.
    """
    if target in ("", request.route):
        return request
    path, mark, query = request.path.partition("?")
    source, (method, _, there) = request.route.partition(" ")[2], target.partition(" ")
    found = re.fullmatch(_PART.sub("(.+)", _escaped(source)), path)
    if found is None:
        step = "make the corpus again: its route and its path do not fit"
        raise BadInput(f"{path.count('/')} parts do not fit the route", object=request.route, next=step)
    values = dict(zip(_PART.findall(source), found.groups(), strict=True))
    order = iter(found.groups())
    put = _PART.sub(lambda part: values.get(part[1]) or next(order, ""), there)
    return replace(request, method=method, path=f"{put}{mark}{query}")


def _escaped(path: str) -> str:
    return "".join(part if _PART.fullmatch(part) else re.escape(part) for part in re.split(r"(\{[^{}]*\})", path))
