"""What the database has beside its tables: partitions, a function with its triggers, views.

The function leaves `updated_at` alone when the statement has set it, so that a load or a repair can keep old times.
"""

from __future__ import annotations

from .events import QUARTERS

TOUCH = """
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$"""

TOUCHED = ("users", "saved_quizzes")

VIEW = """
CREATE VIEW result_overview AS
SELECT r.id, r.quiz_type, u.username, r.created_at, r.results ->> 'headline' AS headline, c.url AS card
FROM quiz_results AS r
LEFT JOIN users AS u ON u.id = r.user_id
LEFT JOIN share_cards AS c ON c.quiz_result_id = r.id
WHERE r.shared"""

MATERIALIZED = """
CREATE MATERIALIZED VIEW quiz_type_totals AS
SELECT quiz_type, count(*) AS results, count(*) FILTER (WHERE shared) AS shared, max(created_at) AS newest
FROM quiz_results
GROUP BY quiz_type"""


def before_rows() -> list[str]:
    """Statements after the tables are made: a partition for each quarter, and one for all other times."""
    made = []
    for year, quarter in QUARTERS:
        after = (year, quarter * 3 + 1) if quarter < 4 else (year + 1, 1)
        made.append(
            f"CREATE TABLE quiz_events_{year}q{quarter} PARTITION OF quiz_events FOR VALUES "
            f"FROM ('{year}-{quarter * 3 - 2:02}-01 00:00:00+00') TO ('{after[0]}-{after[1]:02}-01 00:00:00+00')"
        )
    owned = "ALTER SEQUENCE quiz_events_id_seq OWNED BY quiz_events.id"
    return [*made, "CREATE TABLE quiz_events_rest PARTITION OF quiz_events DEFAULT", owned]


def after_rows() -> list[str]:
    """Statements after the first rows are in: a trigger would fire on them, a materialized view would be empty."""
    triggers = [
        f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"
        for table in TOUCHED
    ]
    unique = "CREATE UNIQUE INDEX uq_quiz_type_totals ON quiz_type_totals (quiz_type)"
    comment = "COMMENT ON VIEW result_overview IS 'What the start page shows'"
    return [TOUCH, *triggers, VIEW, comment, MATERIALIZED, unique]
