-- Counts of deliveries, and pages by index.

-- How many deliveries of an endpoint ended in a state, for messages made in a minute (since 1970): counting rows would take
-- longer the more there are. Changes come to `tally_news`, one row for each group, so that nodes do not wait for one another at
-- a count; upkeep adds them up.
CREATE TABLE postrider.tallies (
    app      uuid NOT NULL,
    endpoint uuid NOT NULL,
    minute   int8 NOT NULL,
    state    int2 NOT NULL CHECK (state BETWEEN 1 AND 3),
    n        int8 NOT NULL,
    PRIMARY KEY (app, endpoint, minute, state)
) WITH (fillfactor = 70);
CREATE TABLE postrider.tally_news (
    app      uuid NOT NULL,
    endpoint uuid NOT NULL,
    minute   int8 NOT NULL,
    state    int2 NOT NULL,
    n        int8 NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- The minute in which a message was made.
CREATE FUNCTION postrider.minute_1(msg uuid) RETURNS int8 LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || left(encode(uuid_send(msg), 'hex'), 12))::bit(48)::int8 / 60000
$$;

-- What was there before there were counts.
INSERT INTO postrider.tallies (app, endpoint, minute, state, n)
SELECT d.app, d.endpoint, postrider.minute_1(d.msg) AS minute, d.state, count(*) FROM postrider.deliveries d WHERE d.state <> 0
GROUP BY d.app, d.endpoint, minute, d.state;

-- Notes what a statement did to deliveries. Whoever changes them, the counts follow.
CREATE FUNCTION postrider.tally_insert_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postrider.tally_news (app, endpoint, minute, state, n)
    SELECT d.app, d.endpoint, postrider.minute_1(d.msg) AS minute, d.state, count(*) FROM came d WHERE d.state <> 0
    GROUP BY d.app, d.endpoint, minute, d.state;
    RETURN NULL;
END $$;
CREATE FUNCTION postrider.tally_update_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postrider.tally_news (app, endpoint, minute, state, n)
    SELECT d.app, d.endpoint, postrider.minute_1(d.msg) AS minute, d.state, sum(d.n) FROM (
        SELECT c.app, c.endpoint, c.msg, c.state, 1 AS n FROM came c
        UNION ALL SELECT w.app, w.endpoint, w.msg, w.state, -1 FROM went w) d
    WHERE d.state <> 0 GROUP BY d.app, d.endpoint, minute, d.state HAVING sum(d.n) <> 0;
    RETURN NULL;
END $$;
CREATE FUNCTION postrider.tally_delete_1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postrider.tally_news (app, endpoint, minute, state, n)
    SELECT d.app, d.endpoint, postrider.minute_1(d.msg) AS minute, d.state, -count(*) FROM went d WHERE d.state <> 0
    GROUP BY d.app, d.endpoint, minute, d.state;
    RETURN NULL;
END $$;
CREATE TRIGGER tally_insert AFTER INSERT ON postrider.deliveries REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.tally_insert_1();
CREATE TRIGGER tally_update AFTER UPDATE ON postrider.deliveries REFERENCING OLD TABLE AS went NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.tally_update_1();
CREATE TRIGGER tally_delete AFTER DELETE ON postrider.deliveries REFERENCING OLD TABLE AS went
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.tally_delete_1();

-- Adds up what came to the counts of deliveries; how many rows. One node does it at a time.
CREATE FUNCTION postrider.fold_tallies_1() RETURNS int8 LANGUAGE plpgsql SET jit = off SET enable_seqscan = on AS $$
DECLARE
    folded int8 := 0;
    sums record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(8101817, 1) THEN
        RETURN 0;
    END IF;
    FOR sums IN
        WITH gone AS (DELETE FROM postrider.tally_news RETURNING *)
        SELECT g.app, g.endpoint, g.minute, g.state, sum(g.n)::int8 AS n, count(*) AS rows FROM gone g
        GROUP BY g.app, g.endpoint, g.minute, g.state
    LOOP
        folded := folded + sums.rows;
        CONTINUE WHEN sums.n = 0;
        INSERT INTO postrider.tallies AS t (app, endpoint, minute, state, n)
        VALUES (sums.app, sums.endpoint, sums.minute, sums.state, sums.n)
        ON CONFLICT (app, endpoint, minute, state) DO UPDATE SET n = t.n + excluded.n;
        IF sums.n < 0 THEN
            DELETE FROM postrider.tallies t WHERE t.app = sums.app AND t.endpoint = sums.endpoint AND t.minute = sums.minute
              AND t.state = sums.state AND t.n = 0;
        END IF;
    END LOOP;
    RETURN folded;
END $$;

-- As retire_1, with the counts of the day: dropping a table fires no trigger.
CREATE FUNCTION postrider.retire_2(cutoff_ms int8) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    oldest int8;
BEGIN
    SELECT min(substring(c.relname FROM '_([0-9]+)$')::int8) INTO oldest FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('postrider.messages'::regclass, 'postrider.deliveries'::regclass, 'postrider.attempts'::regclass)
      AND c.relname ~ '_[0-9]+$';
    IF NOT postrider.retire_1(cutoff_ms) THEN
        RETURN false;
    END IF;
    DELETE FROM postrider.tally_news t WHERE t.minute >= oldest * 1440 AND t.minute < (oldest + 1) * 1440;
    DELETE FROM postrider.tallies t WHERE t.minute >= oldest * 1440 AND t.minute < (oldest + 1) * 1440;
    RETURN true;
END $$;

-- Pages of what is stored, by index and in its order whatever the planner takes a day's table for: one that was not analysed
-- yet would be read and sorted whole for each page.
CREATE FUNCTION postrider.messages_in_1(
    p_app uuid, above uuid, below uuid, p_limit int8, newest_first boolean
) RETURNS TABLE (id uuid, endpoints uuid[], expunged boolean, head bytea, payload bytea) LANGUAGE plpgsql STABLE
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
    IF newest_first THEN
        RETURN QUERY SELECT t.id, t.endpoints, t.expunged, t.head, t.payload FROM postrider.messages t
        WHERE t.app = p_app AND t.id > above AND t.id < below ORDER BY t.id DESC LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT t.id, t.endpoints, t.expunged, t.head, t.payload FROM postrider.messages t
        WHERE t.app = p_app AND t.id > above AND t.id < below ORDER BY t.id LIMIT p_limit;
    END IF;
END $$;
CREATE FUNCTION postrider.attempted_in_1(
    p_app uuid, p_endpoint uuid, above uuid, below uuid, p_limit int8, newest_first boolean
) RETURNS TABLE (msg uuid, state int2, due int8, failed int4, attempts uuid[]) LANGUAGE plpgsql STABLE
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
    IF newest_first THEN
        RETURN QUERY SELECT t.msg, t.state, t.due, t.failed, t.attempts FROM postrider.deliveries t
        WHERE t.app = p_app AND t.endpoint = p_endpoint AND cardinality(t.attempts) > 0 AND t.msg > above AND t.msg < below ORDER BY t.msg DESC LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT t.msg, t.state, t.due, t.failed, t.attempts FROM postrider.deliveries t
        WHERE t.app = p_app AND t.endpoint = p_endpoint AND cardinality(t.attempts) > 0 AND t.msg > above AND t.msg < below ORDER BY t.msg LIMIT p_limit;
    END IF;
END $$;
CREATE FUNCTION postrider.attempts_in_1(
    p_app uuid, p_endpoint uuid, above uuid, below uuid, p_limit int8, newest_first boolean
) RETURNS TABLE (body bytea) LANGUAGE plpgsql STABLE
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
#variable_conflict use_column
BEGIN
    IF newest_first THEN
        RETURN QUERY SELECT t.body FROM postrider.attempts t
        WHERE t.app = p_app AND t.endpoint = p_endpoint AND t.id > above AND t.id < below ORDER BY t.id DESC LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT t.body FROM postrider.attempts t
        WHERE t.app = p_app AND t.endpoint = p_endpoint AND t.id > above AND t.id < below ORDER BY t.id LIMIT p_limit;
    END IF;
END $$;
