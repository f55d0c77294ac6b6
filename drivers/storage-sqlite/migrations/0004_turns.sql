-- How urgent an execution is, from 0, the least, to 4.
ALTER TABLE executions ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;

-- What is due, in lines of one tenant, priority and workflow each: so the sweep reads the heads of all
-- lines, however long one is. With `rung_at`, what was rung just now is passed over within the index.
DROP INDEX executions_due;
CREATE INDEX executions_due ON executions (tenant, priority, workflow, ring_key, rung_at)
    WHERE ring_key IS NOT NULL;
