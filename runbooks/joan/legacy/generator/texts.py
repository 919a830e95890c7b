"""A pool of texts by Faker in many scripts, from which rows are put together, and texts that break careless tools."""

from __future__ import annotations

import unicodedata
from random import Random

from faker import Faker

LOCALES = ("en_US", "de_DE", "fr_FR", "ru_RU", "el_GR", "ja_JP", "zh_CN", "ar_AA", "he_IL")

HOSTILE = (
    "BEGIN TRANSACTION;\nDELETE FROM users;\nCOMMIT;",
    "COMMIT;",
    "Robert'); DROP TABLE tasks;-- and 'single' \"double\" `back` quotes",
    "-- not a comment\n/* nor this */ ; ;; ; END;",
    "a literal \\n beside a real\nnewline, a \\t beside a\ttab, a \\\\ and C:\\new\\table",
    "Windows lines\r\nstay\r\nas they are\r",
    "‏שלום עולם‏ and مرحبا بالعالم, mixed ‮right to left‬",
    "emoji 👩🏽‍💻🧑‍🧑‍🧒 flags 🇩🇪🇯🇵 keycap 1️⃣ zero\u200bwidth\u00a0space",
    unicodedata.normalize("NFC", "Zoë Ångström café (composed)"),
    unicodedata.normalize("NFD", "Zoë Ångström café (decomposed)"),
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 beyond the basic plane: 𠜎𠜱𠝹 𒀀 \U0010fffd",
    "x'00ff' ? ?1 :name @name $name %s %(x)s {0} {{jinja}} ${shell} <script>alert(1)</script>",
    "control \x01\x02\x1b[31mred\x1b[0m \x7f end",
    "INSERT INTO notes VALUES('a',NULL,X'00');\n.quit\nPRAGMA foreign_keys=OFF;",
    " leading and trailing spaces \t ",
    "9e999 -0.0 NaN Infinity 0x1F 1_000 true null",
)

_MARKDOWN = (
    "## {title}\n\n{paragraph}\n\n- [ ] {sentence}\n- [x] {other}\n",
    "> {sentence}\n\n{paragraph}\n",
    "```sql\nSELECT * FROM tasks WHERE title LIKE '%{word}%'; -- {word}\n```\n\n{paragraph}\n",
    "| {word} | value |\n|---|---:|\n| a\\|b | 1.10 |\n| `c` | 2 |\n\n{paragraph}\n",
    "1. {sentence}\n2. {other}\n   1. {word}\n\n[{word}](https://example.org/?q={word}&x=1#top)\n",
    "{paragraph}\n\n{other}\n",
)


class Texts:
    """Pools of names, sentences and paragraphs; what is drawn depends only on the caller's random source."""

    def __init__(self, seed: int) -> None:
        self.names: list[str] = []
        self.companies: list[str] = []
        self.words: list[str] = []
        self.sentences: list[str] = []
        self.paragraphs: list[str] = []
        for number, locale in enumerate(LOCALES):
            fake = Faker(locale)
            fake.seed_instance(seed * 1_000 + number)
            self.names += [fake.name() for _ in range(40)]
            self.companies += [fake.company() for _ in range(12)]
            self.words += fake.words(40)
            self.sentences += [fake.sentence(nb_words=9) for _ in range(60)]
            self.paragraphs += [fake.paragraph(nb_sentences=4) for _ in range(40)]

    def title(self, rng: Random) -> str:
        """A title: a sentence without its full stop, at most 200 characters."""
        return rng.choice(self.sentences)[:200].rstrip(".。") or "-"

    def text(self, rng: Random) -> str:
        """A paragraph; now and then a hostile one."""
        if rng.random() < 0.03:
            return rng.choice(HOSTILE)
        return rng.choice(self.paragraphs)

    def maybe(self, rng: Random) -> str | None:
        """A paragraph, an empty text, or none."""
        draw = rng.random()
        return None if draw < 0.15 else "" if draw < 0.2 else self.text(rng)

    def markdown(self, rng: Random, sections: int) -> str:
        """A Markdown text of so many sections, each roughly 300 characters."""
        return "\n".join(
            rng.choice(_MARKDOWN).format(
                title=self.title(rng),
                word=rng.choice(self.words),
                sentence=rng.choice(self.sentences),
                other=rng.choice(self.sentences),
                paragraph=self.text(rng),
            )
            for _ in range(sections)
        )

    def long(self, rng: Random, size: int) -> str:
        """A Markdown text of at least `size` bytes of UTF-8."""
        parts: list[str] = []
        while size > 0:
            parts.append(self.markdown(rng, 8))
            size -= len(parts[-1].encode()) + 1
        return "\n".join(parts)
