"""Redaction: what is known to be secret is masked before a notebook, a log or a page holds it.

Known are: what the params refer to (`env:NAME`, `file:PATH`), environment variables whose names say that they hold a
secret, and what `towpath.secrets` remembered in this process.  Shapes that give a secret away without knowing it
(authorization headers, private keys, passwords in URLs) are masked too.

In a kernel, `towpath.runs.guard` does the same to every message that leaves it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from towpath.errors import WrongUse
from towpath.runs.wallets import remember_wallets
from towpath.secrets import REFERENCE, SHORTEST, Secret, known, remember, scrub

SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIAL", re.IGNORECASE)
# Values that switch something (TOKENIZERS_PARALLELISM=enabled) are ordinary words; masking them would blind the record.
ORDINARY = frozenset({"enabled", "disabled", "default", "optional", "required", "always", "keyring", "warning"})
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
ANNOUNCE = "towpath_known"  # the message by which a guarded kernel tells the engine, and nobody else, what it masks
ENGINE = "TOWPATH_ENGINE"  # set in the environment of kernels that the engine starts

_OUTPUTS = frozenset({"display_data", "update_display_data", "execute_result", "error", "comm_open", "comm_msg"})
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----|\Z)"
        ),
        "[secret private key]",
    ),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-auth-key|x-api-key|x-amz-security-token|set-cookie|cookie)"
            r"""(["']?\s*[:=]\s*b?["']?)(?!\[secret)(?:(?:bearer|basic)\s+)?[^\s"',;}]{8,}"""
        ),
        r"\1\2[secret in a header]",
    ),
    (re.compile(r"\b(Bearer|Basic)\s+(?!\[secret)[A-Za-z0-9+/_.~=-]{16,}"), r"\1 [secret in a header]"),
    # libpq's words, SQL's words, and a query: a password that an error repeats
    (
        re.compile(
            r"(?i)\b((?:pg)?password|passwd)(\s?=\s?)(?!\[secret)(?:'[^'\n]{4,}'|[^\s'\"(),;&\[\]{}]{6,})(?![\w.(])"
        ),
        r"\1\2[secret by its name]",
    ),
    (re.compile(r"(?i)\b(password|identified by)(\s+)'(?!\[secret)[^'\n]{4,}'"), r"\1\2'[secret by its name]'"),
    (
        re.compile(
            r"(?i)([?&][\w-]{0,40}(?:token|password|signature|credential|secret|api_?key)=)(?!\[secret)[^&\s\"'<>]{6,}"
        ),
        r"\1[secret in a URL]",
    ),
    (re.compile(r"(?<=://)([^/\s:@]{0,100}):(?!\[secret)[^/\s@]{1,200}@"), r"\1:[secret in a URL]@"),
)


def learn(parameters: Mapping[str, Any], root: Path) -> None:
    """Remember what environment, home folder and references hold; `file:` paths are relative to `root`.

    References stand in the params, and in Towpath's own settings (TOWPATH_SIGNING_KEY, TOWPATH_RECORDS_…).

    A reference that leads nowhere is left to the notebook, which says what is missing.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith("TOWPATH_")}
    for name, value in os.environ.items():
        is_reference = name in settings and REFERENCE.match(value)  # to mask it would change what params say
        if SECRET_NAME.search(name) and value.lower() not in ORDINARY and not is_reference:
            remember(value, f"env:{name}")
    remember_wallets()
    for reference in (*references(parameters).values(), *references(settings).values()):
        with contextlib.suppress(WrongUse, OSError, UnicodeDecodeError):
            Secret(reference, root).reveal()


def root_of_files() -> Path:
    """What `file:` references are relative to: the project, or the working directory outside of one."""
    from towpath.plan.root import project_root

    try:
        return project_root()
    except WrongUse:
        return Path.cwd()


def redact(text: str) -> str:
    """The text without known secrets and without what looks like one."""
    text = scrub(text)
    for shape, mask in _SHAPES:
        text = shape.sub(mask, text)
    return text


def redact_value(value: Any) -> Any:
    """A JSON-like value with every text in it, keys included, redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        clean = {redact(str(key)): redact_value(item) for key, item in value.items()}
        return type(value)(clean)  # a notebook node stays one
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    return value


def redact_message(message: dict[str, Any]) -> None:
    """Redact the content of a kernel's output message in place.  Streams are `StreamText`'s, which sees them whole."""
    kind, content = message.get("msg_type") or message["header"]["msg_type"], message["content"]
    if kind not in _OUTPUTS:
        return
    if kind == "error":
        content["traceback"] = [ANSI.sub("", str(line)) for line in content.get("traceback", [])]
        content["evalue"] = ANSI.sub("", str(content.get("evalue", "")))
    for part in ("data", "metadata", "traceback", "ename", "evalue"):
        if part in content:
            content[part] = redact_value(content[part])


def redact_notebook(notebook: Any) -> None:
    """Redact a whole notebook in place: sources, outputs, metadata.  For JupyterLab's copies too."""
    notebook.metadata = redact_value(notebook.metadata)
    for cell in notebook.cells:
        redact_cell(cell)


def redact_cell(cell: Any) -> None:
    """Redact the source, metadata and outputs of one cell in place.

    In the source only known secrets are masked: code that handles a header looks like one, and the record must hold the
    code that ran.
    """
    cell.source, cell.metadata = scrub(cell.source), redact_value(cell.metadata)
    for output in cell.get("outputs", []):
        for part in ("text", "data", "metadata", "traceback", "ename", "evalue"):
            if part in output:
                output[part] = redact_value(output[part])


def open_end(text: str) -> int:
    """How many characters at the end of the text may be the beginning of a secret that is not all there yet."""
    longest = 0
    for form in known():
        window = text[-(len(form) - 1) :]
        start = window.find(form[0])
        while start >= 0 and len(window) - start > longest:
            if form.startswith(window[start:]):
                longest = len(window) - start
                break
            start = window.find(form[0], start + 1)
    return longest


def mask_open_end(text: str) -> str:
    """The text with a beginning of a secret at its end masked, when it is long enough to give something away."""
    length = open_end(text)
    return text[: len(text) - length] + "[secret, cut off]" if length >= SHORTEST else text


def references(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that are references to secrets."""
    return {key: value for key, value in parameters.items() if isinstance(value, str) and REFERENCE.match(value)}
