"""SQL expressions that yield SQL literals: what the source's own engine writes of its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

FUNCTION_ARGUMENTS = 30  # D1 documents 32 arguments a function


def concat(parts: Sequence[str]) -> str:
    """SQL that joins texts (none of them NULL), nested so that no call has over 30 arguments."""
    parts = list(parts)
    while len(parts) > 1:
        parts = [
            f"concat({', '.join(parts[i : i + FUNCTION_ARGUMENTS])})" if i + 1 < len(parts) else parts[i]
            for i in range(0, len(parts), FUNCTION_ARGUMENTS)
        ]
    return parts[0]


def value_literal(value: str) -> str:
    """SQL that yields the literal of `value`; text keeps NUL and bad UTF-8 raw, to be seen on the finished bytes."""
    return (
        f"CASE typeof({value}) WHEN 'text' THEN concat('''', replace({value}, '''', ''''''), '''')"
        f" ELSE quote({value}) END"
    )


def exact_literal(value: str) -> str:
    """SQL as `value_literal`, with every text by its bytes: slower, and right for any bytes."""
    text = f"concat('CAST(x''', hex({value}), ''' AS TEXT)')"
    return f"CASE typeof({value}) WHEN 'text' THEN {text} ELSE {value_literal(value)} END"


def row_expression(values: Sequence[str], make: Callable[[str], str] = value_literal) -> str:
    """SQL that yields the literal tuple of a row."""
    parts = ["'('"]
    for number, value in enumerate(values):
        parts += ["','"] if number else []
        parts.append(make(value))
    return concat([*parts, "')'"])
