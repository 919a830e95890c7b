-- Jobs that arrived through the queue: what the consumer keeps, each job once.
CREATE TABLE received_jobs (
  id TEXT PRIMARY KEY NOT NULL,
  queue TEXT NOT NULL,
  task TEXT NOT NULL,
  body TEXT NOT NULL,
  received_at INTEGER NOT NULL DEFAULT (unixepoch())
);
