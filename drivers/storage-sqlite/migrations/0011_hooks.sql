-- The address that a webhook had before, until when it leads there (milliseconds), and why the last
-- occurrence of a trigger started nothing: its time and that of the decision in milliseconds, and why.
ALTER TABLE triggers ADD COLUMN old_hook TEXT;
ALTER TABLE triggers ADD COLUMN old_until INTEGER;
ALTER TABLE triggers ADD COLUMN left_out TEXT;
CREATE INDEX triggers_old_hook ON triggers (old_hook) WHERE old_hook IS NOT NULL;
