"""SQLite's SQL as tokens: enough to change a declaration without touching what stays.

The tokens of a text, joined, are the text again; a test holds that for any text.  Rules as in SQLite's own tokenizer
(sqlite.org/lang_keywords.html, src/tokenize.c): four ways to quote a name, two of comment, blobs, parameters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from towpath.tables.schema import literal

SPACE, COMMENT, WORD, NAME, STRING, BLOB, NUMBER, PARAMETER, SIGN, BROKEN = (
    "space",
    "comment",
    "word",  # unquoted: a keyword or a name
    "name",  # quoted as a name: "…" `…` […]; a "…" that names nothing is taken for a string by SQLite
    "string",
    "blob",
    "number",
    "parameter",
    "sign",
    "broken",  # a quote or a comment that never ends, or a character SQLite does not know
)
# Words before a parenthesis that is not a call.
NOT_CALLS: tuple[str, ...] = (
    *("ALWAYS", "AND", "AS", "BETWEEN", "BY", "CASE", "CAST", "CHECK", "DEFAULT", "ELSE", "ESCAPE", "EXISTS", "FILTER"),
    *("GLOB", "IN", "IS", "ISNULL", "KEY", "LIKE", "MATCH", "NOT", "NOTNULL", "NULL", "ON", "OR", "OVER", "REFERENCES"),
    *("REGEXP", "SELECT", "THEN", "UNIQUE", "USING", "VALUES", "WHEN", "WHERE"),
)
OPERATORS = {"REGEXP": "regexp", "MATCH": "match", "GLOB": "glob", "LIKE": "like"}  # operators that call a function

_ID = r"[A-Za-z_\x80-\U0010FFFF]"
_ID_REST = r"[A-Za-z0-9_$\x80-\U0010FFFF]"
_GRAMMAR = re.compile(
    rf"""
    (?P<space>[ \t\n\f\r]+)
  | (?P<comment>--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
  | (?P<blob>[xX]'(?:[0-9A-Fa-f]{{2}})*')
  | (?P<string>'(?:[^']|'')*')
  | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
  | (?P<number>0[xX][0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*
      |(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?)
  | (?P<parameter>\?\d*|[:@]{_ID_REST}+|[$\#]{_ID_REST}+(?:::{_ID_REST}+)*(?:\([^\s)]*\))?)
  | (?P<word>{_ID}{_ID_REST}*)
  | (?P<sign>->>|->|\|\||<<|>>|<=|>=|<>|==|!=|[-+*/%&|~<>=(),;.])
  | (?P<broken>'(?:[^']|'')*\Z|"(?:[^"]|"")*\Z|`(?:[^`]|``)*\Z|\[[^\]]*\Z|/\*.*\Z|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token as written; `gap`: space or a comment stands before it (only told by `spoken`)."""

    kind: str
    text: str
    gap: bool = False

    def word(self, *words: str) -> bool:
        """Whether this is one of these keywords, unquoted, in any case."""
        return self.kind == WORD and self.text.upper() in words

    def sign(self, *signs: str) -> bool:
        """Whether this is one of these operators or punctuation marks."""
        return self.kind == SIGN and self.text in signs

    @property
    def identifier(self) -> str | None:
        """The name this token stands for where a name is wanted ('…' counts there too), else None."""
        if self.kind == WORD:
            return self.text
        if self.kind in (NAME, STRING):
            mark = self.text[0]
            return self.text[1:-1] if mark == "[" else self.text[1:-1].replace(mark * 2, mark)
        return None


def tokens(sql: str) -> list[Token]:
    """Every token of `sql`, spaces and comments too: joined they are `sql` again."""
    return [Token(str(match.lastgroup), match.group()) for match in _GRAMMAR.finditer(sql)]


def spoken(sql: str) -> list[Token]:
    """The tokens that mean something: no spaces, no comments."""
    out: list[Token] = []
    gap = False
    for token in tokens(sql):
        if token.kind in (SPACE, COMMENT):
            gap = True
        else:
            out.append(Token(token.kind, token.text, gap))
            gap = False
    return out


def written(parts: Sequence[Token]) -> str:
    """Spoken tokens as SQL on one line: each run of space made one; what is quoted stays as it is."""
    return "".join(f" {t.text}" if t.gap and number else t.text for number, t in enumerate(parts))


def tidied(sql: str) -> str:
    """`sql` without comments and with LF for CRLF, outside of quotes; otherwise as written."""
    out = ""
    own_line = False  # a comment that had a line for itself takes the line with it
    for token in tokens(sql):
        text = token.text
        if token.kind == COMMENT:
            out = out.rstrip(" \t")
            own_line = out.endswith("\n")
            out += "" if own_line else " "
            continue
        if token.kind == SPACE:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
            if "\n" in text:
                out = out.rstrip(" \t")
                text = text.split("\n", 1)[1] if own_line else text
        out += text
        own_line = False
    return out.strip(" \t\n\f\r")


def split_list(parts: Sequence[Token]) -> list[list[Token]]:
    """Tokens split at the commas that stand in no parenthesis."""
    out: list[list[Token]] = [[]]
    depth = 0
    for token in parts:
        depth += token.sign("(") - token.sign(")")
        if depth == 0 and token.sign(","):
            out.append([])
        else:
            out[-1].append(token)
    return out


def closing(parts: Sequence[Token], opening: int) -> int:
    """The position of the parenthesis that closes the one at `opening`; the last position if none does."""
    depth = 0
    for position in range(opening, len(parts)):
        depth += parts[position].sign("(") - parts[position].sign(")")
        if depth == 0:
            return position
    return len(parts) - 1


def calls(expression: Sequence[Token]) -> set[str]:
    """The names, in lower case, of the functions that an expression without subqueries calls."""
    out = set()
    for position, token in enumerate(expression[:-1]):
        if not expression[position + 1].sign("(") or token.kind not in (WORD, NAME):
            continue
        of_type = position > 0 and expression[position - 1].word("AS")  # CAST(… AS VARCHAR(9))
        if not of_type and not token.word(*NOT_CALLS):
            out.add(str(token.identifier).lower())
    return out


def unmisquoted(expression: Sequence[Token], columns: Collection[str]) -> list[Token]:
    """ "…" that names no column is a text to SQLite; write it as one."""
    known = {name.lower() for name in columns} | {"rowid", "_rowid_", "oid"}
    out = []
    for position, token in enumerate(expression):
        name = token.identifier if token.kind == NAME and token.text[0] == '"' else None
        call = position + 1 < len(expression) and expression[position + 1].sign("(")
        if name is None or call or name.lower() in known:
            out.append(token)
        else:
            out.append(Token(STRING, literal(name), token.gap))
    return out
