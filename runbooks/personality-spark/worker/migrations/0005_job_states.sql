-- What became of each job: begun_at once a consumer took it up, ran_at once it is done.
-- returned_at: it was handed back to Celery before anybody took it up, and no consumer does so any more.
CREATE TABLE job_states (
  id TEXT PRIMARY KEY NOT NULL,
  eta TEXT,
  expires TEXT,
  begun_at INTEGER,
  ran_at INTEGER,
  returned_at INTEGER
);
