-- What the application does between the snapshot and the cutover.
UPDATE tasks SET title = 'write the long note', done_at = NULL WHERE id = 't1';
INSERT INTO tasks VALUES ('t5', 'p3', 't4', 'new', 1.5, 2, 3, NULL, NULL);
UPDATE people SET favourite_id = 't5' WHERE id = 'p3';
DELETE FROM attachments WHERE id = 'a2';
DELETE FROM readings WHERE sensor = 'a' AND rowid = (SELECT min(rowid) FROM readings);
