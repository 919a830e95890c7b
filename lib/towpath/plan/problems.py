"""What is wrong in the files of a plan: all of it at once, one line each, never with a secret in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from towpath.errors import WrongUse
from towpath.plan.addresses import may_hold_password
from towpath.plan.document import Document, Place, Refused
from towpath.plan.inline import secret_kind

LONGEST_VALUE = 60  # characters of a refused value that an error repeats


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in one file."""

    code: str
    file: str
    line: int  # 0 where no line can be named
    key: str
    what: str
    next: str

    @property
    def object(self) -> str:
        """File, line and key as people read them."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where} {self.key}".strip()

    @property
    def text(self) -> str:
        """The problem in one line."""
        return WrongUse(self.what, object=self.object, next=self.next, code=self.code).line


class PlanRefused(WrongUse):
    """The files of a plan, or the parameters of a notebook, are refused; `problems` holds one entry for each reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(first.what + more, object=first.object, next=first.next, code=first.code)

    def _render_traceback_(self) -> list[str]:
        return [f"STOP: {problem.text}" for problem in self.problems]


def refuse(code: str, file: str, key: str, what: str, next: str, line: int = 0) -> PlanRefused:
    """One problem as an error that can be raised."""
    return PlanRefused([Problem(code, file, line, key, what, next)])


def from_document(refused: Refused, file: str) -> PlanRefused:
    """YAML that is not plain, as an error that can be raised."""
    return refuse(refused.code, file, refused.key, refused.what, refused.next, refused.line)


def inline_secrets(document: Document, exempt: Iterable[str] = ()) -> list[Problem]:
    """A problem for every string in the document that looks like a secret, without the string.

    Names that the source gave (`rtree_Monuments_geometry_update1`) may look like random text, and nobody could decide
    about such an object: there only what has the shape of a secret counts.
    """
    skip = set(exempt)
    return [
        Problem(
            "PL005",
            document.file,
            document.line(place),
            key_of(place),
            f"holds {kind}; it is not repeated here",
            "change that secret (it lay in a file), keep it elsewhere and write env:NAME or file:PATH",
        )
        for place, value in document.strings()
        if (not place or place[0] not in skip) and (kind := secret_kind(value, name=_is_name(place)))
    ]


def _is_name(place: Place) -> bool:
    """Whether a value is the name of an object of the source or the target."""
    if place[:2] == ("tables", "fit"):
        return "rewrite" not in place and (place[-1] in ("from", "to") or place[-2:-1] == ("columns",))
    return place[-1:] == ("object",) or place[:2] == ("objects", "references")


def from_validation(
    error: ValidationError, model: type[BaseModel], document: Document, silent: Iterable[str] = ()
) -> list[Problem]:
    """pydantic's errors as problems; values of the keys in `silent` are not repeated."""
    hidden = set(silent)
    problems = []
    for item in error.errors(include_url=False):
        place: Place = tuple(part for part in item["loc"])
        line, key = document.line(place), key_of(place)
        allowed = _allowed(model, place)
        if item["type"] == "extra_forbidden":
            problems.append(Problem("PL002", document.file, line, key, "unknown key", _guess(model, place)))
        elif item["type"] == "missing":
            problems.append(Problem("PL004", document.file, line, key, "the key is missing", f"add it: {allowed}"))
        else:
            given = item["input"]
            quiet = bool(hidden & set(place)) or secret_kind(given) is not None or may_hold_password(given)
            shown = "the value" if quiet else shortened(given)
            reason = _reason(item)
            problems.append(Problem("PL003", document.file, line, key, f"{shown} is not allowed{reason}", allowed))
    return problems


def key_of(place: Place) -> str:
    """The place of a value as a path: decisions[0].do."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shortened(value: object) -> str:
    """A value as an error repeats it: with its type where that is what is wrong."""
    if isinstance(value, (Mapping, list, tuple)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = "a number"
    text = text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
    return text if isinstance(value, str) else f"{text} ({type(value).__name__})"


def _reason(item: Any) -> str:
    if item["type"] == "value_error":
        return ": " + str(item["ctx"]["error"])
    if item["type"] in ("string_type", "literal_error") and not isinstance(item["input"], (str, Mapping, list, tuple)):
        return ": YAML reads it as no text, put it in quotes"
    return ""


def _fields(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The model whose key the last text of `place` is."""
    here: type[BaseModel] | None = model
    for part in [part for part in place if isinstance(part, str)][:-1]:
        field = _field(here, part)
        here = _model_in(field.annotation) if field else None
    return here


def _field(model: type[BaseModel] | None, key: str) -> FieldInfo | None:
    """The field that a file calls `key`."""
    fields = model.model_fields.items() if model else ()
    return next((field for name, field in fields if (field.alias or name) == key), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _last(place: Place) -> str:
    return next((part for part in reversed(place) if isinstance(part, str)), "")


def _allowed(model: type[BaseModel], place: Place) -> str:
    owner = _fields(model, place)
    field = _field(owner, _last(place))
    return f"allowed: {field.description}" if field and field.description else "see docs/params.md"


def _guess(model: type[BaseModel], place: Place) -> str:
    owner = _fields(model, place)
    names = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
    near = difflib.get_close_matches(_last(place), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return "remove it; known here: " + ", ".join(names)
