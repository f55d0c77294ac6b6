-- An execution that ends with its first step has its whole journal in its row, as `journal` would have it:
-- nobody goes on with it, and what is written together lies together.
ALTER TABLE executions ADD COLUMN whole BLOB;
ALTER TABLE executions ADD COLUMN whole_step BLOB;
ALTER TABLE executions ADD COLUMN whole_sum INTEGER;

-- Every batch of every journal, wherever it lies: for whoever looks at a database from outside.
CREATE VIEW batches AS
    SELECT execution, first_seq, count, epoch, step, entries FROM journal
    UNION ALL
    SELECT n, 1, next_seq - 1, epoch, whole_step, whole FROM executions WHERE whole IS NOT NULL;
