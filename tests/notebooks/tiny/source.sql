-- A source as small as it can be while every step of every notebook has something to show.
PRAGMA user_version = 7;
CREATE TABLE people (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(40) NOT NULL,
    email TEXT COLLATE NOCASE UNIQUE,
    born DATE,
    active BOOLEAN NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    favourite_id VARCHAR(36) REFERENCES tasks (id)
);
CREATE TABLE tasks (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    owner_id VARCHAR(36) NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    parent_id VARCHAR(36) REFERENCES tasks (id),
    title STRING NOT NULL,
    effort FLOAT,
    price DECIMAL(10, 2),
    trace BIGINT,
    done_at DATETIME,
    extra JSON
);
CREATE INDEX tasks_by_owner ON tasks (owner_id, done_at);
CREATE UNIQUE INDEX tasks_open ON tasks (owner_id, title) WHERE done_at IS NULL;
CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id VARCHAR(36) NOT NULL REFERENCES tasks (id),
    what TEXT
);
CREATE TABLE readings (sensor TEXT, value);
CREATE TABLE attachments (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    task_id VARCHAR(36) REFERENCES tasks (id),
    storage_key VARCHAR(255) NOT NULL,
    thumbnail BLOB
);
CREATE VIEW open_tasks AS SELECT id, title FROM tasks WHERE done_at IS NULL;
CREATE TRIGGER tasks_logged AFTER INSERT ON tasks BEGIN
    INSERT INTO log (task_id, what) VALUES (new.id, 'made');
END;

INSERT INTO people VALUES
    ('p1', 'Ada', 'ada@example.org', '1815-12-10', 1, NULL),
    ('p2', 'Grace "Amazing" O''Hopper', 'Grace@example.org', '1906-12-09', 1, NULL),
    ('p3', 'Zoë 🚀', NULL, NULL, 0, NULL);
INSERT INTO tasks VALUES
    ('t1', 'p1', NULL, 'write the note', 0.1, '10.50', 9007199254740993, '2026-01-02 03:04:05.000006', '{"n": 9007199254740995}'),
    ('t2', 'p1', 't1', '00123', 9e999, 3, -9223372036854775808, NULL, 'null'),
    ('t3', 'p2', 't2', '1e5', NULL, NULL, 1, NULL, NULL),
    ('t4', 'p2', 'gone', 'parent is gone', -0.0, '0.00', 2, '2026-01-02T03:04:05Z', '[]');
UPDATE people SET favourite_id = 't1' WHERE id = 'p1';
INSERT INTO log (task_id, what) VALUES ('gone', 'of a task that is gone'), ('t1', 'read');
DELETE FROM log WHERE id = 6;
INSERT INTO readings VALUES ('a', 1), ('a', 1), ('a', 1.0), ('b', '1'), ('b', x'00ff'), (NULL, NULL);
INSERT INTO attachments VALUES
    ('a1', 't1', 'attachments/aa/note.txt', x'89504e47'),
    ('a2', 't2', 'attachments/aa/straße.md', NULL),
    ('a3', 't3', 'attachments/bb/lost.pdf', NULL);
