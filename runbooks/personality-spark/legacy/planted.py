"""What is wrong, or merely strange, in the generated data: on purpose, exactly counted, the same at every scale.

PLANTED are defects: somebody must decide what becomes of each.  ODDITIES are legal values that a careless copy spoils;
no decision is needed, they must arrive as they are.  `query` counts them in the database; it is empty where files,
Redis or the broker have to be asked.  `live` leaves all of them as they are, but for the keys that end by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

PLANTED_DOMAIN = "planted.example"  # of the accounts that planted rows are, or belong to
TWIN_NAMES = (("river_stone", "River_Stone", "RIVER_STONE"), ("ada", "Ada"))
ZONE = "Europe/Berlin"  # set for the database: every new session shows times in it
BEYOND_DOUBLE = (2**53 + 1, -(2**60) - 1, 10**24 + 7)  # inside jsonb, which keeps all their digits
MONTHS = ("1 mon 2 days 03:04:05.678901", "-1 year -6 days +00:00:30")
LOWER_BOUNDS = ('[0:1]={"from zero","to one"}', "[-2:-1]={minus,two}")
LONG_RESULTS = (120_000, 200_000)  # bytes of JSON text, at least
STRAY_CARD = "shares/00000000-0000-4000-8000-00000000dead.png"
LOST_CARD = "shares/00000000-0000-4000-8000-00000000105f.png"
SEQUENCES_AHEAD = {"quiz_analytics_id_seq": 12, "purchases_id_seq": 25, "quiz_events_id_seq": 40}
LOG_TWINS = 4  # a line of import_log that is there this many times
ENDING_KEYS = ("otp:4711", "lock:digest")  # end 45 seconds after they were made
PICKLED, MALFORMED = 1, 1  # jobs


@dataclass(frozen=True, slots=True)
class Planted:
    """One kind of planted thing: where it is and exactly how often."""

    name: str
    where: str  # schema.table, or what else holds it
    column: str
    count: int
    what: str
    query: str = ""


def _fraction(name: str, table: str, column: str, count: int) -> Planted:
    what = "a fraction of a second, which unix seconds cannot hold; all others in the column are whole"
    query = f"SELECT count(*) FROM {table} WHERE date_trunc('second', {column}) <> {column}"
    return Planted(name, f"public.{table}", column, count, what, query)


PLANTED = (
    Planted(
        "usernames that repeat",
        "public.users",
        "username",
        5,
        "two names, one of three and one of two accounts, that are equal without regard to case: two handles for five",
        "SELECT count(*) FROM users WHERE lower(username) IN "
        "(SELECT lower(username) FROM users GROUP BY lower(username) HAVING count(*) > 1)",
    ),
    Planted(
        "results without a type",
        "public.quiz_results",
        "quiz_type",
        3,
        "NULL, from before the column was there; the new side demands a type",
        "SELECT count(*) FROM quiz_results WHERE quiz_type IS NULL",
    ),
    _fraction("accounts made within a second", "users", "created_at", 5),
    _fraction("logins within a second", "users", "last_login", 2),
    _fraction("results within a second", "quiz_results", "created_at", 3),
    Planted(
        "a rate that is no number",
        "public.quiz_analytics",
        "completion_rate",
        1,
        "NaN in a numeric: a division by zero of 2025",
        "SELECT count(*) FROM quiz_analytics WHERE completion_rate = 'NaN'",
    ),
    Planted(
        "purchases for ever",
        "public.purchases",
        "valid_until",
        2,
        "infinity, which no other engine has; the new side says NULL",
        "SELECT count(*) FROM purchases WHERE valid_until = 'infinity'",
    ),
    Planted(
        "durations of months",
        "public.quiz_results",
        "duration",
        len(MONTHS),
        "an interval of months and days has no number of seconds",
        "SELECT count(*) FROM quiz_results WHERE extract(month FROM duration) <> 0 OR extract(year FROM duration) <> 0",
    ),
    Planted(
        "arrays that do not begin at one",
        "public.quiz_results",
        "tags",
        len(LOWER_BOUNDS),
        "a custom lower bound, which JSON cannot say",
        "SELECT count(*) FROM quiz_results WHERE array_lower(tags, 1) <> 1",
    ),
    Planted(
        "numbers beyond 2^53 inside JSON",
        "public.quiz_results",
        "results",
        len(BEYOND_DOUBLE),
        "exact as text, not once parsed by JavaScript",
        "SELECT count(*) FROM quiz_results WHERE abs((results ->> 'seed')::numeric) > 9007199254740992",
    ),
    Planted(
        "a card without its file", "public.share_cards", "path", 1, f"the row names {LOST_CARD}, which is not on disk"
    ),
    Planted("a file without its row", "shares/", "", 1, f"{STRAY_CARD} is on disk and no row names it"),
    Planted("a pickled job", "queue celery", "", PICKLED, "its body is a pickle, which nobody may open"),
    Planted("a malformed job", "queue analytics", "", MALFORMED, "its body is cut off in the middle of its JSON"),
    Planted(
        "keys that end within a minute",
        "cache",
        "",
        len(ENDING_KEYS),
        f"{' and '.join(ENDING_KEYS)} end 45 seconds after the generation; KV has no life under 60 seconds",
    ),
)

ODDITIES = (
    Planted(
        "the database's own time zone",
        "database spark",
        "",
        1,
        f"new sessions show times in {ZONE}, with offsets that change with summer time",
        f"SELECT count(*) FROM pg_db_role_setting WHERE setconfig @> ARRAY['TimeZone={ZONE}']",
    ),
    Planted(
        "equal lines of the log",
        "public.import_log",
        "(whole row)",
        LOG_TWINS,
        "one line four times over in a table without a key; each copy counts",
        "SELECT count(*) FROM import_log WHERE message = 'twin'",
    ),
    Planted(
        "long results",
        "public.quiz_results",
        "results",
        len(LONG_RESULTS),
        "over 100,000 bytes: more than one SQL statement of D1 may hold",
        "SELECT count(*) FROM quiz_results WHERE octet_length(results::text) > 100000",
    ),
    Planted(
        "an empty avatar",
        "public.users",
        "avatar",
        1,
        "no bytes, which is not NULL",
        "SELECT count(*) FROM users WHERE octet_length(avatar) = 0",
    ),
    Planted(
        "a missing tag",
        "public.quiz_results",
        "tags",
        1,
        "NULL as an element, beside the word NULL",
        "SELECT count(*) FROM quiz_results WHERE array_position(tags, NULL) IS NOT NULL",
    ),
    Planted(
        "events out of every quarter",
        "public.quiz_events",
        "occurred_at",
        2,
        "in the partition for all other times",
        "SELECT count(*) FROM quiz_events_rest",
    ),
)
