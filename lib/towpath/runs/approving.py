"""`towpath approve`: a person's signature under the plan, its waivers and the record so far."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from towpath.checks import Verdict
from towpath.errors import BadInput, WrongUse
from towpath.plan.ends import UNSIGNED
from towpath.runs.approvals import KIND, NAME, Approval, approvals_of, evidence, facts, void_because
from towpath.runs.files import write_bytes
from towpath.runs.folder import RunFolder
from towpath.runs.results import now
from towpath.runs.seal import APPROVALS
from towpath.runs.site import OUTPUTS, render_site
from towpath.runs.verification import PASSING, verify_run
from towpath.secrets import REFERENCE, Secret
from towpath.signing.envelope import Envelope, Signature, payload_of
from towpath.signing.keys import load_signer
from towpath.signing.signers import FILE, is_signed_by
from towpath.signing.ssh import ssh_key_name, ssh_sign

OWN_KEY = Path("~/.ssh/id_ed25519")


def approve_run(root: Path, folder: RunFolder, name: str, key: str = "", signers: Path | None = None) -> Approval:
    """Sign the run as it stands, write the approval into it, and show it on the run's page and in the index.

    `key` is env:NAME or file:PATH (relative to `root`) of an ed25519 key, or the path of an SSH key, which ssh-keygen
    uses; "" is the person's own ~/.ssh/id_ed25519.  `signers` is a list of who may sign; without it,
    params/<system>/allowed_signers where that is there.  Raises WrongUse, with nothing written, for a name or key that
    the list does not have, and BadInput for a record that is not whole.
    """
    from towpath.runs.pages import index_text  # jinja2 and what it needs

    if not NAME.match(name):
        step = "use letters, digits and . _ @ + -, at most 64, e.g. ana or ana@example.org"
        raise WrongUse("is no name for an approval", object=name, next=step)
    failed = [check for check in verify_run(folder) if check.verdict is Verdict.FAIL]
    failed = [check for check in failed if not check.found.startswith(PASSING)]
    if failed:
        what = f"the record is not whole: {failed[0].object}: {failed[0].found}"
        raise BadInput(what, object=folder.run_id, next=f"read `towpath verify {folder.run_id}`")
    if not folder.attempts():
        raise WrongUse("nothing has run yet that could be approved", object=folder.run_id, next="run its first phase")
    listed = root / "params" / folder.system / FILE
    signers = signers or (listed if listed.is_file() or folder.environment not in UNSIGNED else None)
    key_name, line, sign = _signing(root, key)
    time = now()
    path = _free(folder, name)
    row = (name, key_name, time, "stands")
    page = index_text(folder.path, approval=row).encode()
    subjects = {**evidence(folder), "index.html": hashlib.sha256(page).hexdigest()}
    predicate = {**facts(folder), "name": name, "time": time, "signer": line}
    unsigned = Envelope(payload_of(subjects, KIND, predicate))
    envelope = Envelope(unsigned.payload, (Signature(key_name, sign(unsigned.signed_bytes)),))
    if signers is not None and not is_signed_by(envelope, name, signers):
        step = f"add a line `{name} {line or 'ssh-… AAAA…'}` after somebody has vouched for it"
        raise WrongUse(f"does not list {key_name} for {name}", object=str(signers), next=step)
    write_bytes(path, envelope.text.encode())
    write_bytes(folder.path / "index.html", page)
    (made,) = [one for one in approvals_of(folder)[0] if folder.path / one.path == path]
    if reason := void_because(folder, made):
        raise BadInput(f"does not stand: {reason}", object=made.path, next="approve again")
    render_site(root / OUTPUTS)
    return made


def _signing(root: Path, key: str) -> tuple[str, str, Callable[[bytes], bytes]]:
    """The key's fingerprint, its public line where the statement must carry it, and what signs."""
    if REFERENCE.match(key):
        signer = load_signer(Secret(key, root))
        return signer.public.name, signer.public.line, signer.sign
    path = Path(key or OWN_KEY).expanduser()
    if not path.is_file():
        step = "name your SSH key, or env:NAME or file:PATH of an ed25519 key, with --key"
        raise WrongUse("there is no such key", object=str(path) if key else str(OWN_KEY), next=step)
    return ssh_key_name(path), "", lambda data: ssh_sign(path, data)


def _free(folder: RunFolder, name: str) -> Path:
    """Where the next approval of a name goes: <name>.json, <name>.2.json, …; none is overwritten."""
    home, number = folder.path / APPROVALS, 1
    while (path := home / (f"{name}.json" if number == 1 else f"{name}.{number}.json")).exists():
        number += 1
    return path
