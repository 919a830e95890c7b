"""What can be wrong with files on their way to a bucket: one code per rule, as data.

Limits are R2's (developers.cloudflare.com/r2/platform/limits): key 1,024 bytes, object 5 TiB, 10,000 parts; and what
Cloudflare's local runtime cannot carry (measured with miniflare 5.20261117: a line break in a key is answered by 404).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import apsw

from towpath.checks import Rule, Severity
from towpath.findings import Findings as Collected

KEY_BYTES = 1_024
OBJECT_BYTES = 5 << 40
LINE_BREAKS = "\n\r\u2028\u2029"  # what JavaScript, and so the local runtime's router, takes for the end of a line
SAMPLES = 20  # keys named in one finding
WORKERS = 4  # requests at a time
AHEAD = 4  # items handed out for each worker: enough that a large one does not leave the others idle
NAMED = 100  # findings of one refusing rule that are named one by one; the rest is counted per directory

_REFUSE, _DECIDE, _WARN, _NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE
_rule = partial(Rule.of, "objects")

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        # walk: what lies in the directory
        _rule("OB101", "file or directory cannot be read", _REFUSE, "give the user that runs Towpath read access"),
        _rule(
            "OB102",
            "socket, pipe or device: has no content to copy",
            _DECIDE,
            "stop the program that made it, or skip it",
            "skip",
            "skip",
            "nothing but the name: it has no content",
        ),
        _rule(
            "OB103",
            "symbolic link leaves the root",
            _REFUSE,
            "copy its target below the root, or remove the link and correct the rows that use it",
        ),
        _rule(
            "OB104",
            "symbolic link leads nowhere",
            _DECIDE,
            "restore its target, or skip it",
            "skip",
            "skip",
            "the name of the link: its content was gone before",
        ),
        _rule(
            "OB105",
            "symbolic link inside the root: a bucket has no links",
            _DECIDE,
            "follow copies the content under the link's name; skip leaves that name out",
            "follow skip",
            "skip",
            "the second name; the content is copied under its own",
        ),
        _rule(
            "OB106",
            "symbolic link leads back to a directory above it",
            _DECIDE,
            "remove the link, or skip it",
            "skip",
            "skip",
            "the second name of the directory",
        ),
        _rule("OB107", "name is not UTF-8", _REFUSE, "rename it, and correct the rows that use it"),
        _rule("OB108", "key is longer than 1,024 bytes", _REFUSE, "shorten the path, and correct the rows that use it"),
        _rule(
            "OB109",
            "line break in the name: the local runtime answers 404 to such a key",
            _REFUSE,
            "rename it, and correct the rows that use it",
        ),
        _rule(
            "OB110",
            "two names that are equal after Unicode normalisation (NFC)",
            _REFUSE,
            "rename one of them: R2 would keep only one",
        ),
        _rule(
            "OB111",
            "name is not in Unicode normal form C: its key is",
            _NOTE,
            "nothing: R2 normalises keys to NFC by itself, and so does the manifest",
        ),
        _rule(
            "OB112",
            "names that differ only by case",
            _NOTE,
            "nothing: keys are case-sensitive; look whether the application means one file",
        ),
        _rule("OB113", "file of zero bytes", _NOTE, "nothing: it is copied as it is; look whether a write was cut off"),
        _rule("OB114", "hard link: each name becomes an object of its own", _NOTE, "nothing: the content is copied"),
        _rule("OB115", "empty directory: a bucket has no directories", _NOTE, "nothing: no object stands for it"),
        _rule(
            "OB116",
            "file changed while it was read",
            _REFUSE,
            "stop the application's writes (maintenance switch), then run the phase again",
        ),
        _rule("OB117", "file is larger than 5 TiB", _REFUSE, "split it: R2 takes no larger object"),
        _rule(
            "OB118",
            "file is sent in parts: its ETag is not its MD5",
            _NOTE,
            "nothing: the expected ETag is computed from the parts",
        ),
        _rule("OB119", "no file below the root", _WARN, "look whether source_files names the right directory"),
        # closure: rows and files, both ways
        _rule(
            "OB201",
            "row names a file that is not there",
            _DECIDE,
            "restore the file; keep leaves the row as it is, without a file",
            "keep",
            "keep",
            "the file that the row names, which was gone before",
        ),
        _rule(
            "OB202",
            "file that no row names",
            _DECIDE,
            "copy moves it all the same; skip leaves it behind",
            "copy skip",
            "skip",
            "the files, which stay behind",
        ),
        _rule(
            "OB203",
            "path in a row is absolute, empty, leaves the root, or is not text",
            _REFUSE,
            "correct the row: it cannot name an object",
        ),
        _rule(
            "OB204",
            "path in a row differs from the key by Unicode normalisation",
            _WARN,
            "let the new application ask for the NFC form; R2 itself normalises keys",
        ),
        _rule(
            "OB205",
            "path in a row differs from the key by case, or by ./ or //",
            _DECIDE,
            "correct the row; keep leaves it as it is, and it will not find its object",
            "keep",
            "keep",
            "the way from the row to its file",
        ),
        _rule("OB206", "file that several rows name", _NOTE, "look whether deleting one of the rows deletes the file"),
        # upload and delta
        _rule("OB301", "object is in the bucket", _REFUSE, "run the phase again: it goes on where it stopped"),
        _rule(
            "OB302",
            "another object has the key already; it was not overwritten",
            _REFUSE,
            "look whose object it is; remove it, or use an empty bucket",
        ),
        _rule("OB303", "file changed since the export", _REFUSE, "stop the application's writes and export again"),
        _rule(
            "OB304",
            "object was changed since the import; it was not deleted",
            _REFUSE,
            "look who writes to the bucket before the cutover",
        ),
        # compare
        _rule("OB401", "number of objects", _REFUSE, "look at the missing and extra objects below"),
        _rule("OB402", "object is missing in the bucket", _REFUSE, "run the import again"),
        _rule("OB403", "object in the bucket that the manifest does not name", _REFUSE, "look who put it there"),
        _rule("OB404", "content of an object differs", _REFUSE, "remove the object and run the import again"),
        _rule(
            "OB405",
            "content type, cache control or encoding of an object differs",
            _REFUSE,
            "remove the object and run the import again",
        ),
        # closure on the target
        _rule(
            "OB501",
            "row whose object is not in the bucket",
            _REFUSE,
            "compare the objects; only rows decided with OB201 or OB205 may lack one",
        ),
        _rule(
            "OB502",
            "object in the bucket that no row names",
            _REFUSE,
            "compare the objects; only those decided with OB202 copy may lack a row",
        ),
    )
}


class Findings(Collected):
    """What the rules find, bounded: refusals one by one up to `NAMED`, everything else for each walked prefix."""

    def __init__(self, prefixes: Sequence[str] = ("",)) -> None:
        super().__init__(RULES, SAMPLES)
        self._prefixes = tuple(prefixes)
        self._named: dict[str, int] = {}

    def place(self, key: str) -> str:
        """The walked prefix that a key lies under, `./` if none; what decisions and waivers call its object."""
        return next((prefix for prefix in self._prefixes if prefix and key.startswith(prefix)), "./")

    def meet(self, code: str, key: str, detail: str = "") -> None:
        """One more `key` for which the rule holds; `detail` is said with the first one of its object."""
        object = self.place(key)
        if RULES[code].severity is Severity.REFUSE and self._named.get(code, 0) < NAMED:
            self._named[code] = self._named.get(code, 0) + 1
            object = key
        self.add(code, object, key, detail)

    def query(self, code: str, db: apsw.Connection, select: str) -> None:
        """Add what a query finds: rows of (place, name), in the order in which they are to be named."""
        for place, name in db.execute(select):
            self.add(code, place, name)
