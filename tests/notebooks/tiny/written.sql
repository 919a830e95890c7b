-- What the new application does on the target after the cutover.
UPDATE tasks SET title = 'written on the new side' WHERE id = 't5';
INSERT INTO tasks VALUES ('t6', 'p1', NULL, 'new there', 2.5, 1, 0, NULL, NULL);
DELETE FROM readings WHERE sensor = 'a' AND rowid = (SELECT min(rowid) FROM readings WHERE sensor = 'a');
