-- A second line behind the WHERE of every statement: whoever says for whom a transaction is
-- (`nebula.tenant`) sees and writes nothing of others in it. Where nothing is said, as by the commits that
-- hold steps of many tenants and by the sweep, all is seen. FORCE, since the engine owns its tables, and an
-- owner would not be held to it otherwise; superusers and roles with BYPASSRLS never are.
DO $$
DECLARE named name;
BEGIN
    FOR named IN
        SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
            AND a.attname = 'tenant' AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY tenants_apart ON %I
            USING (tenant = coalesce(nullif(current_setting(''nebula.tenant'', true), ''''), tenant))', named);
    END LOOP;
END $$;
