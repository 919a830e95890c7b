"""`towpath corpus`: requests for a system, from its OpenAPI document, a HAR file, an access log, or written by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from towpath.cli.options import System
from towpath.errors import BadInput, WrongUse
from towpath.plan.inline import secret_kind
from towpath.plan.mapping import load_mapping
from towpath.plan.params import read_document
from towpath.plan.root import inside, project_root
from towpath.plan.traffic import Traffic
from towpath.routes import corpus as corpora
from towpath.routes.application import Application, Inventory, inventory, without_ours
from towpath.routes.corpus import Recorded
from towpath.routes.filling import Login
from towpath.routes.generate import generate
from towpath.routes.hand import described, from_plain
from towpath.routes.recording import EACH, Recorder, Taken
from towpath.routes.scrub import Scrubber

KINDS = ("openapi", "har:FILE", "log:FILE", "hand:FILE")


def corpus(
    system: System,
    sources: Annotated[
        list[str],
        typer.Option("--from", help="openapi, har:FILE, log:FILE or hand:FILE; repeatable, in order.", metavar="S"),
    ],
    to: Annotated[
        str, typer.Option("--to", help="The JSONL file; without it, traffic.corpus of mapping.yaml.", metavar="FILE")
    ] = "",
    each: Annotated[int, typer.Option("--each", min=1, help="Requests kept of one route of a recording.")] = EACH,
    host: Annotated[
        str, typer.Option("--host", help="The host of a HAR file whose requests count.", metavar="NAME")
    ] = "",
) -> None:
    """Write recorded requests for each route of a system, without secrets.

    The routes are those that traffic.application of mapping.yaml names. Tokens, cookies, passwords and sensitive fields
    become placeholders, which a replay fills in; read the file before you commit it. Nothing is sent.

    \b
    Examples:
        towpath corpus joan --from openapi --from hand:runbooks/joan/requests.yaml
        towpath corpus joan --from har:build/joan.har --to build/joan-corpus.jsonl
    """
    root = project_root()
    path = root / "runbooks" / system / "mapping.yaml"
    mapping = load_mapping(path, inside(root, path), system)
    traffic = mapping.traffic
    if traffic.application is None:
        step = "say in mapping.yaml where the application names its routes: traffic.application"
        raise WrongUse("has no application whose routes could be asked", object=system, next=step)
    if not (to or traffic.corpus):
        raise WrongUse("there is no file to write to", object=system, next="give --to, or traffic.corpus")
    if wrong := [one for one in sources if one != "openapi" and one.partition(":")[0] not in ("har", "log", "hand")]:
        raise WrongUse("is nothing to make requests from", object=wrong[0], next=f"use one of {', '.join(KINDS)}")
    given = traffic.application
    found = inventory(Application(given.kind, given.of, given.interpreter, given.also), root, without_ours(os.environ))
    maker = _Maker(root, traffic, found, [pattern.rpartition(".")[2] for pattern in mapping.sensitive])
    items = corpora.once(item for source in sources for item in maker.made(source, each, host))
    target = Path(to) if to else root / traffic.corpus
    written = corpora.write(target, items)
    typer.echo(f"written  {target if to else traffic.corpus}: {written:,} requests ({', '.join(described(items))})")
    met = {item.route for item in items} | set(traffic.left)
    bare = [route.title for route in found.routes if route.title not in met]
    if bare:
        typer.echo(f"yours    no request for {', '.join(bare)}")


class _Maker:
    """Makes requests from each kind of source."""

    def __init__(self, root: Path, traffic: Traffic, found: Inventory, sensitive: list[str]) -> None:
        self._root, self._found, self._samples = root, found, traffic.samples
        self._logins = {name: Login(one.route, one.body, one.at) for name, one in traffic.tokens.items()}
        self._declared = {row.source: row.writes for row in traffic.routes if row.writes is not None}
        self._scrubber = Scrubber(self._logins, sensitive, looks_secret=lambda text: secret_kind(text) is not None)

    def made(self, source: str, each: int, host: str) -> tuple[Recorded, ...]:
        """The requests of one source, with a line about what was left."""
        kind, _, name = source.partition(":")
        if kind == "openapi":
            return _without_secrets(source, self._generated())
        if kind == "hand":
            path = self._root / name
            document = read_document(path, name)
            return _without_secrets(source, from_plain(document.data, name, self._found.routes, self._declared))
        recorder = Recorder(self._found.routes, self._scrubber, self._declared, each)
        return _told(source, recorder.har(Path(name), host) if kind == "har" else recorder.log(Path(name)))

    def _generated(self) -> tuple[Recorded, ...]:
        if self._found.document is None:
            step = "record them: har:FILE, log:FILE or hand:FILE"
            raise WrongUse("this application has no OpenAPI document", object="--from openapi", next=step)
        done = generate(self._found.document, self._samples, self._logins, self._declared)
        for title, why in done.unmade.items():
            typer.echo(f"unmade   {title}: {why}")
        return done.items


def _without_secrets(source: str, items: tuple[Recorded, ...]) -> tuple[Recorded, ...]:
    """The requests, if none holds what has the form of a secret: people wrote them, and can write a placeholder."""
    for one in items:
        texts = [one.path, *one.headers.values(), one.body.decode("latin-1")]
        kind = next(filter(None, (secret_kind(text, name=True) for text in texts)), None)
        if kind is not None:
            what = f"a request of {one.route} holds what looks like {kind}"
            raise BadInput(what, object=source, next="write {token:NAME}, with a NAME of traffic.tokens")
    return items


def _told(source: str, taken: Taken) -> tuple[Recorded, ...]:
    left = ", ".join(f"{count:,} {why}" for why, count in taken.left.items())
    typer.echo(f"read     {source}: {len(taken.items):,} requests kept" + (f"; left: {left}" if left else ""))
    return taken.items
