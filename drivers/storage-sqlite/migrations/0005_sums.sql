-- What the content of a row adds up to, so that a changed byte is found when the row is read; NULL in
-- rows of older builds.
ALTER TABLE journal ADD COLUMN sum INTEGER;
ALTER TABLE snapshots ADD COLUMN sum INTEGER;
ALTER TABLE inbox ADD COLUMN sum INTEGER;
ALTER TABLE workflow_versions ADD COLUMN sum INTEGER;
