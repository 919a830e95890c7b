-- Jobs that no attempt could run: what the consumer of the dead-letter queue keeps.
-- id is the job's; where a message was no job at all, its own. attempts counts the deliveries by the dead-letter queue.
CREATE TABLE received_jobs_dead (
  id TEXT PRIMARY KEY NOT NULL,
  queue TEXT NOT NULL,
  task TEXT NOT NULL,
  body TEXT NOT NULL,
  reason TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  received_at INTEGER NOT NULL
);
