"""Words in several scripts, and texts that break careless tools."""

from __future__ import annotations

import unicodedata
from random import Random

ADJECTIVES = (
    "quiet",
    "bright",
    "Swift",
    "lazy",
    "bold",
    "mellow",
    "Curious",
    "tidy",
    "wild",
    "gentle",
    "ruhige",
    "веселый",
)
NOUNS = ("otter", "river", "Comet", "maple", "lantern", "pebble", "Falcon", "harbour", "piano", "Ähre", "λύκος", "桜")
TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
TAGS = ("fun", "work", "late night", "with friends", "ça va", "1,2", 'say "hi"', "NULL", "", "back\\slash", "{x}")
HEADLINES = (
    "You see patterns where others see noise",
    "A planner with a spark",
    "Ruhig, aber nie langweilig",
    "Вы любите порядок",
    "あなたは冒険家です",
    "أنت فضولي بطبعك",
)
HOSTILE = (
    "Robert'); DROP TABLE users;-- and 'single' \"double\" `back` quotes",
    "a literal \\n beside a real\nnewline, a \\t beside a\ttab, a \\\\ and C:\\new\\table \\N \\.",
    "Windows lines\r\nstay\r\nas they are\r",
    "emoji 👩🏽‍💻🧑‍🧑‍🧒 flags 🇩🇪🇯🇵 keycap 1️⃣ zero\u200bwidth\u00a0space",
    unicodedata.normalize("NFC", "Zoë Ångström café (composed)"),
    unicodedata.normalize("NFD", "Zoë Ångström café (decomposed)"),
    "x'00ff' ? ?1 :name @name $name %s %(x)s {0} {{jinja}} ${shell} <script>alert(1)</script>",
    "control \x01\x02\x1b[31mred\x1b[0m \x7f end, and a real \ufffd",
    " leading and trailing spaces \t ",
    "9e999 -0.0 NaN Infinity 0x1F 1_000 true null",
)


def headline(rng: Random) -> str:
    """A headline; now and then a hostile one."""
    return rng.choice(HOSTILE if rng.random() < 0.03 else HEADLINES)
