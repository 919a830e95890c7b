-- What else the new application keeps. Money is whole cents; times that order events are ISO 8601 with microseconds.

CREATE TABLE share_cards (
  id TEXT PRIMARY KEY NOT NULL,
  quiz_result_id TEXT NOT NULL REFERENCES quiz_results(id) ON DELETE CASCADE,
  object_key TEXT NOT NULL UNIQUE CHECK (object_key GLOB 'shares/*.png'),
  url TEXT NOT NULL CHECK (url LIKE 'https://media.personalityspark.com/shares/%'),
  created_at TEXT NOT NULL
);
CREATE INDEX idx_share_cards_result ON share_cards(quiz_result_id);

CREATE TABLE purchases (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id TEXT REFERENCES users(id) ON DELETE SET NULL,
  product TEXT NOT NULL,
  amount_cents INTEGER NOT NULL CHECK (typeof(amount_cents) = 'integer' AND amount_cents <> 0),
  fee_cents INTEGER NOT NULL DEFAULT 0 CHECK (typeof(fee_cents) = 'integer'),
  net_cents INTEGER GENERATED ALWAYS AS (amount_cents - fee_cents) STORED,
  currency TEXT NOT NULL CHECK (length(currency) = 3 AND currency = upper(currency)),
  purchased_at TEXT NOT NULL,
  valid_until TEXT -- NULL: for life
);
CREATE INDEX idx_purchases_user ON purchases(user_id);

-- One table: what was partitioned by quarter on the old side.
CREATE TABLE quiz_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  occurred_at TEXT NOT NULL CHECK (occurred_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*'),
  user_id TEXT,
  quiz_type TEXT,
  kind TEXT NOT NULL CHECK (kind IN ('started', 'answered', 'completed', 'shared')),
  payload TEXT CHECK (payload IS NULL OR json_valid(payload))
);
CREATE INDEX idx_quiz_events_occurred_at ON quiz_events(occurred_at);

CREATE TABLE user_badges (
  user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  badge TEXT NOT NULL,
  level INTEGER NOT NULL DEFAULT 1 CHECK (level BETWEEN 1 AND 5),
  awarded_at TEXT NOT NULL,
  PRIMARY KEY (user_id, badge)
) WITHOUT ROWID;

CREATE TABLE import_log (
  batch TEXT NOT NULL,
  line INTEGER NOT NULL,
  message TEXT,
  logged_at TEXT NOT NULL
);

-- stats.daily_counts on the old side.
CREATE TABLE daily_counts (
  day TEXT NOT NULL,
  quiz_type TEXT NOT NULL,
  results INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (day, quiz_type)
);

-- A materialized view on the old side; D1 computes it when it is asked.
CREATE VIEW quiz_type_totals AS
SELECT quiz_type, count(*) AS results, sum(shared) AS shared, max(created_at) AS newest
FROM quiz_results
GROUP BY quiz_type;
