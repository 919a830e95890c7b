-- The first migration of the new application, written by hand. Times are unix seconds, ids are text, JSON is text.

CREATE TABLE users (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  email TEXT UNIQUE,
  username TEXT,
  -- The name in links. Whoever has no username has no handle.
  handle TEXT UNIQUE COLLATE NOCASE,
  locale TEXT NOT NULL,
  plan TEXT NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'plus', 'pro')),
  password_hash TEXT NOT NULL,
  avatar BLOB,
  born TEXT CHECK (born IS NULL OR born GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  created_at INTEGER NOT NULL DEFAULT (unixepoch()) CHECK (typeof(created_at) = 'integer'),
  last_login INTEGER CHECK (last_login IS NULL OR typeof(last_login) = 'integer')
);

CREATE TABLE quiz_results (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  user_id TEXT REFERENCES users(id) ON DELETE CASCADE,
  quiz_type TEXT NOT NULL CHECK (quiz_type IN ('big5', 'daily', 'quick', 'mood')),
  results TEXT NOT NULL CHECK (json_valid(results)),
  tags TEXT NOT NULL DEFAULT '[]' CHECK (json_type(tags) = 'array'),
  took TEXT, -- an interval, as text
  created_at INTEGER DEFAULT (unixepoch()) CHECK (typeof(created_at) = 'integer'),
  shared INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1))
);

CREATE TABLE saved_quizzes (
  id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  user_id TEXT REFERENCES users(id) ON DELETE CASCADE,
  slug TEXT NOT NULL,
  quiz_data TEXT NOT NULL CHECK (json_valid(quiz_data)),
  archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
  created_at INTEGER DEFAULT (unixepoch())
);

CREATE TABLE quiz_analytics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  quiz_type TEXT,
  completion_rate REAL CHECK (completion_rate BETWEEN 0 AND 1),
  avg_time_seconds INTEGER CHECK (avg_time_seconds >= 0),
  share_rate REAL,
  created_date TEXT DEFAULT (date('now'))
);

CREATE INDEX idx_quiz_results_user_id ON quiz_results(user_id);
CREATE INDEX idx_quiz_results_created_at ON quiz_results(created_at);
CREATE INDEX idx_saved_quizzes_user_id ON saved_quizzes(user_id);
CREATE UNIQUE INDEX idx_saved_quizzes_slug ON saved_quizzes(user_id, slug) WHERE archived = 0;
