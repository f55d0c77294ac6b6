-- To which project a workflow belongs; null is none.
ALTER TABLE workflows ADD COLUMN project TEXT;
