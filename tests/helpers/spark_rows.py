"""What a new Worker may write into Personality Spark's tables: in each of them rows come, change, or go."""

from __future__ import annotations

from helpers.spark import Spark

NEWCOMER = "11111111-1111-4111-8111-111111111111"
AT = "'2026-11-21T10:00:00.123456Z'"
WITHOUT_CARD = "id NOT IN (SELECT quiz_result_id FROM share_cards)"
WRITTEN = (
    "INSERT INTO users (id, email, username, handle, locale, plan, password_hash, avatar, born, created_at) VALUES"
    f" ('{NEWCOMER}', 'new@example.com', 'newcomer', 'newcomer', 'en', 'plus', 'x', x'00ff', '1990-02-03', 1790000000)",
    "UPDATE users SET last_login = 1790000001, plan = 'pro' WHERE id ="
    " (SELECT id FROM users WHERE handle IS NOT NULL ORDER BY id LIMIT 1)",
    "INSERT INTO quiz_results (id, user_id, quiz_type, results, tags, took, created_at, shared) VALUES"
    f" ('2{NEWCOMER[1:]}', '{NEWCOMER}', 'mood',"
    ' \'{"a": "https://media.personalityspark.com/shares/x.png", "b": 1}\', \'["a",null]\', \'PT1M5S\', 1790000002, 1)',
    "UPDATE quiz_results SET shared = 1 - shared WHERE id IN (SELECT id FROM quiz_results ORDER BY id LIMIT 5)",
    f"DELETE FROM quiz_results WHERE id IN (SELECT id FROM quiz_results WHERE {WITHOUT_CARD} ORDER BY id DESC LIMIT 3)",
    "INSERT INTO saved_quizzes (id, user_id, slug, quiz_data, created_at) VALUES"
    f" ('3{NEWCOMER[1:]}', '{NEWCOMER}', 's', '{{}}', 1790000003)",
    "UPDATE saved_quizzes SET archived = 1 WHERE id ="
    " (SELECT id FROM saved_quizzes WHERE archived = 0 ORDER BY id LIMIT 1)",
    "INSERT INTO quiz_analytics (quiz_type, completion_rate, created_date) VALUES ('mood', 0.5, '2026-11-21')",
    "UPDATE quiz_analytics SET share_rate = 0.25 WHERE id = (SELECT min(id) FROM quiz_analytics)",
    "INSERT INTO purchases (user_id, product, amount_cents, fee_cents, currency, purchased_at)"
    f" VALUES ('{NEWCOMER}', 'for ever', 999, 10, 'EUR', {AT})",
    f"INSERT INTO quiz_events (occurred_at, user_id, quiz_type, kind) VALUES ({AT}, '{NEWCOMER}', 'mood', 'started')",
    "DELETE FROM quiz_events WHERE id = (SELECT min(id) FROM quiz_events)",
    f"INSERT INTO user_badges VALUES ('{NEWCOMER}', 'first', 1, {AT})",
    "INSERT INTO import_log VALUES ('new', 1, 'm', '2026-11-21T10:00:00.000000')",
    "DELETE FROM import_log WHERE rowid = (SELECT min(rowid) FROM import_log)",
    "UPDATE daily_counts SET results = results + 1 WHERE rowid = (SELECT min(rowid) FROM daily_counts)",
)


def write_rows(project: Spark) -> None:
    """Write all of it on the target."""
    for sql in WRITTEN:
        project.target(sql)
