-- Publishing by INSERT: a row that an application writes in a transaction of its own becomes a message exactly once.
-- A migration of our own database, and as it is a script for an application's: it may be run again.

DO $$ BEGIN
    IF to_regnamespace('postrider') IS NULL THEN CREATE SCHEMA postrider; END IF;
END $$;

CREATE TABLE IF NOT EXISTS postrider.outbox (
    seq          int8        GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The message's event id, unless the row brings one.
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    -- NULL: the first one.
    organization text,
    -- An application's id or uid.
    application  text        NOT NULL,
    event_type   text        NOT NULL,
    -- JSON, sent as these bytes.
    payload      text        NOT NULL,
    event_id     text,
    channels     text[],
    tags         text[],
    deliver_at   timestamptz,
    payload_retention_hours int4,
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- What the message is kept in order with.
    ordering_key text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_threshold = 100000);

-- Rows that break a rule: they are not tried again until somebody puts them back.
CREATE TABLE IF NOT EXISTS postrider.outbox_refused (
    seq          int8        PRIMARY KEY,
    id           uuid        NOT NULL,
    organization text,
    application  text        NOT NULL,
    event_type   text        NOT NULL,
    payload      text        NOT NULL,
    event_id     text,
    channels     text[],
    tags         text[],
    deliver_at   timestamptz,
    payload_retention_hours int4,
    created_at   timestamptz NOT NULL,
    -- The column at fault, and the rule that it breaks.
    field        text        NOT NULL,
    rule         text        NOT NULL,
    refused_at   timestamptz NOT NULL DEFAULT now(),
    ordering_key text
);

-- Tables from before there were ordering keys.
ALTER TABLE postrider.outbox ADD COLUMN IF NOT EXISTS ordering_key text;
ALTER TABLE postrider.outbox_refused ADD COLUMN IF NOT EXISTS ordering_key text;
-- Whether an earlier row with a key is there still.
CREATE INDEX IF NOT EXISTS outbox_order ON postrider.outbox (ordering_key, application, seq) WHERE ordering_key IS NOT NULL;

-- Wakes the servers. Where many transactions commit at the same time, do without it (DROP TRIGGER): they look every second.
CREATE OR REPLACE FUNCTION postrider.outbox_filled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('postrider_outbox', '');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER outbox_filled AFTER INSERT ON postrider.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.outbox_filled();

-- Publishes; the row's id. A role that may execute this needs no right on any table.
CREATE OR REPLACE FUNCTION postrider.publish(
    application text, event_type text, payload text, event_id text DEFAULT NULL, channels text[] DEFAULT NULL,
    tags text[] DEFAULT NULL, deliver_at timestamptz DEFAULT NULL, payload_retention_hours int4 DEFAULT NULL,
    organization text DEFAULT NULL, ordering_key text DEFAULT NULL
) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO postrider.outbox
        (application, event_type, payload, event_id, channels, tags, deliver_at, payload_retention_hours, organization,
            ordering_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id
$$;
CREATE OR REPLACE FUNCTION postrider.publish(
    application text, event_type text, payload jsonb, event_id text DEFAULT NULL, channels text[] DEFAULT NULL,
    tags text[] DEFAULT NULL, deliver_at timestamptz DEFAULT NULL, payload_retention_hours int4 DEFAULT NULL,
    organization text DEFAULT NULL, ordering_key text DEFAULT NULL
) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT postrider.publish($1, $2, $3::text, $4, $5, $6, $7, $8, $9, $10)
$$;
CREATE OR REPLACE FUNCTION postrider.publish(
    application text, event_type text, payload bytea, event_id text DEFAULT NULL, channels text[] DEFAULT NULL,
    tags text[] DEFAULT NULL, deliver_at timestamptz DEFAULT NULL, payload_retention_hours int4 DEFAULT NULL,
    organization text DEFAULT NULL, ordering_key text DEFAULT NULL
) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT postrider.publish($1, $2, convert_from($3, 'UTF8'), $4, $5, $6, $7, $8, $9, $10)
$$;
DO $$
DECLARE f record; g record;
BEGIN
    FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc p
             WHERE p.pronamespace = 'postrider'::regnamespace AND p.proname = 'publish' AND p.pronargs = 10 LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.name);
    END LOOP;
    -- Those from before there were ordering keys: who might execute them may execute these.
    FOR f IN SELECT p.oid::regprocedure AS name, p.proargtypes[2]::regtype AS payload, p.proacl AS acl FROM pg_proc p
             WHERE p.pronamespace = 'postrider'::regnamespace AND p.proname = 'publish' AND p.pronargs = 9 LOOP
        FOR g IN SELECT a.grantee::regrole AS role FROM aclexplode(f.acl) a WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> 0 LOOP
            EXECUTE format(
                'GRANT EXECUTE ON FUNCTION postrider.publish(text, text, %s, text, text[], text[], timestamptz, int4, text, text) TO %s',
                f.payload, g.role);
        END LOOP;
        EXECUTE format('DROP FUNCTION %s', f.name);
    END LOOP;
END $$;
