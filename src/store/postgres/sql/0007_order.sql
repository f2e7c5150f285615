-- Strict order. Of the owed deliveries of an endpoint with one key the first is the key's head and stands in the queue as any
-- other; the rest wait: their entries of the queue are never due, and the head's end makes the next one due in the same
-- transaction. A head's row is also the lock under which a key's sequence is decided.

CREATE TABLE postrider.heads (
    app      uuid NOT NULL,
    endpoint uuid NOT NULL,
    key      uuid NOT NULL,
    msg      uuid NOT NULL,
    -- Its place in the sequence: what waits comes behind it.
    seq      int8 NOT NULL DEFAULT 0,
    PRIMARY KEY (app, endpoint, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX heads_msg ON postrider.heads (app, msg);

CREATE TABLE postrider.waiting (
    app      uuid NOT NULL,
    endpoint uuid NOT NULL,
    key      uuid NOT NULL,
    seq      int8 GENERATED ALWAYS AS IDENTITY,
    msg      uuid NOT NULL,
    due      int8 NOT NULL CHECK (due >= 0),
    PRIMARY KEY (app, endpoint, key, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- When a waiting entry of the queue is due: never.
CREATE FUNCTION postrider.parked_1() RETURNS int8 LANGUAGE sql IMMUTABLE AS $$ SELECT 9223372036854775807 $$;

-- As accept_1, with deliveries in strict order, in the sequence in which they are given.
CREATE FUNCTION postrider.accept_ordered_1(
    m_app uuid[], m_id uuid[], m_endpoints text[], m_expires int8[], m_head bytea[], m_payload bytea[],
    q_app uuid[], q_msg uuid[], q_endpoint uuid[], q_due int8[], q_token int8[], q_until int8[],
    e_app uuid[], e_id bytea[], e_msg uuid[],
    r_msg uuid[], r_kind int2[], r_scope text[], r_key text[], r_expires int8[], r_body text[], r_now int8[],
    l_app uuid[], l_endpoint uuid[],
    o_app uuid[], o_endpoint uuid[], o_key uuid[], o_msg uuid[], o_due int8[]
) RETURNS TABLE (msg uuid, why int2) LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    refused uuid[] := '{}';
    one record;
BEGIN
    FOR one IN SELECT a.msg, a.why FROM postrider.accept_1(
        m_app, m_id, m_endpoints, m_expires, m_head, m_payload, q_app, q_msg, q_endpoint, q_due, q_token, q_until,
        e_app, e_id, e_msg, r_msg, r_kind, r_scope, r_key, r_expires, r_body, r_now, l_app, l_endpoint) AS a
    LOOP
        refused := refused || one.msg;
        RETURN QUERY SELECT one.msg, one.why;
    END LOOP;
    -- Taking a head's lock and making one is the same statement: nobody comes in between. In one order everywhere.
    INSERT INTO postrider.heads AS h (app, endpoint, key, msg)
    SELECT f.app, f.endpoint, f.key, f.msg FROM (
        SELECT DISTINCT ON (o.app, o.endpoint, o.key) o.app, o.endpoint, o.key, o.msg
        FROM unnest(o_app, o_endpoint, o_key, o_msg) WITH ORDINALITY AS o (app, endpoint, key, msg, n)
        WHERE o.msg <> ALL (refused) ORDER BY o.app, o.endpoint, o.key, o.n) f
    ORDER BY f.app, f.endpoint, f.key
    ON CONFLICT (app, endpoint, key) DO UPDATE SET seq = h.seq;
    INSERT INTO postrider.waiting (app, endpoint, key, msg, due)
    SELECT o.app, o.endpoint, o.key, o.msg, o.due
    FROM unnest(o_app, o_endpoint, o_key, o_msg, o_due) WITH ORDINALITY AS o (app, endpoint, key, msg, due, n)
    CROSS JOIN LATERAL (SELECT t.msg FROM postrider.heads t WHERE t.app = o.app AND t.endpoint = o.endpoint AND t.key = o.key OFFSET 0) h
    WHERE h.msg <> o.msg AND o.msg <> ALL (refused) ORDER BY o.n;
    INSERT INTO postrider.queue (app, msg, endpoint, trigger, due)
    SELECT o.app, o.msg, o.endpoint, 1, CASE WHEN h.msg = o.msg THEN o.due ELSE postrider.parked_1() END
    FROM unnest(o_app, o_endpoint, o_key, o_msg, o_due) AS o (app, endpoint, key, msg, due)
    CROSS JOIN LATERAL (SELECT t.msg FROM postrider.heads t WHERE t.app = o.app AND t.endpoint = o.endpoint AND t.key = o.key OFFSET 0) h
    WHERE o.msg <> ALL (refused);
END $$;

-- Makes the next one of each key due whose head is one of these and owed no longer. What waits and was erased, or delivered by
-- hand, is passed over.
CREATE FUNCTION postrider.pass_on_1(p_app uuid[], p_endpoint uuid[], p_msg uuid[], now_ms int8) RETURNS void LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    led record;
    head record;
    next record;
BEGIN
    -- Locked in one order everywhere.
    FOR led IN
        SELECT h.app, h.endpoint, h.key, h.msg FROM unnest(p_app, p_endpoint, p_msg) AS p (app, endpoint, msg)
        CROSS JOIN LATERAL (
            SELECT * FROM postrider.heads t WHERE t.app = p.app AND t.msg = p.msg AND t.endpoint = p.endpoint OFFSET 0) h
        ORDER BY h.app, h.endpoint, h.key
    LOOP
        SELECT h.app, h.endpoint, h.key, h.msg, h.seq INTO head FROM postrider.heads h
        WHERE h.app = led.app AND h.endpoint = led.endpoint AND h.key = led.key AND h.msg = led.msg FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        CONTINUE WHEN EXISTS (SELECT FROM postrider.queue q WHERE q.app = head.app AND q.msg = head.msg
            AND q.endpoint = head.endpoint AND q.trigger = 1 AND NOT q.moot);
        LOOP
            DELETE FROM postrider.waiting w WHERE (w.app, w.endpoint, w.key, w.seq) = (
                SELECT f.app, f.endpoint, f.key, f.seq FROM postrider.waiting f
                WHERE f.app = head.app AND f.endpoint = head.endpoint AND f.key = head.key AND f.seq > head.seq
                ORDER BY f.seq LIMIT 1)
            RETURNING w.msg, w.due, w.seq INTO next;
            IF NOT FOUND THEN
                DELETE FROM postrider.heads h WHERE h.app = head.app AND h.endpoint = head.endpoint AND h.key = head.key;
                EXIT;
            END IF;
            head.seq := next.seq;
            UPDATE postrider.queue q SET due = greatest(next.due, now_ms)
            WHERE q.app = head.app AND q.msg = next.msg AND q.endpoint = head.endpoint AND q.trigger = 1 AND NOT q.moot;
            IF FOUND THEN
                UPDATE postrider.heads h SET msg = next.msg, seq = next.seq
                WHERE h.app = head.app AND h.endpoint = head.endpoint AND h.key = head.key;
                EXIT;
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- As settle_1, of deliveries in strict order.
CREATE FUNCTION postrider.settle_ordered_1(
    s_app uuid[], s_msg uuid[], s_endpoint uuid[], s_trigger int2[], s_token int8[], s_verdict int2[], s_due int8[],
    s_first int8[], s_attempt uuid[], s_body bytea[], now_ms int8
) RETURNS TABLE (n int8, state int2, due int8, failed int4, attempts uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM postrider.settle_1(
        s_app, s_msg, s_endpoint, s_trigger, s_token, s_verdict, s_due, s_first, s_attempt, s_body);
    PERFORM postrider.pass_on_1(s_app, s_endpoint, s_msg, now_ms);
END $$;

-- As settle_changing_1, of a delivery in strict order.
CREATE FUNCTION postrider.settle_changing_ordered_1(
    s_app uuid[], s_msg uuid[], s_endpoint uuid[], s_trigger int2[], s_token int8[], s_verdict int2[], s_due int8[],
    s_first int8[], s_attempt uuid[], s_body bytea[],
    ops int2[], kinds int2[], scopes text[], keys text[], alias_scopes text[], aliases text[],
    expiries int8[], bodies text[], revisions int8[], told boolean[], now_ms int8
) RETURNS TABLE (n int8, state int2, due int8, failed int4, attempts uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM postrider.settle_changing_1(
        s_app, s_msg, s_endpoint, s_trigger, s_token, s_verdict, s_due, s_first, s_attempt, s_body,
        ops, kinds, scopes, keys, alias_scopes, aliases, expiries, bodies, revisions, told, now_ms);
    PERFORM postrider.pass_on_1(s_app, s_endpoint, s_msg, now_ms);
END $$;

-- As erase_1; what waited behind the message goes on.
CREATE FUNCTION postrider.erase_ordered_1(p_app uuid, p_msg uuid, now_ms int8) RETURNS boolean LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off AS $$
DECLARE
    erased boolean;
    led uuid[];
BEGIN
    erased := postrider.erase_1(p_app, p_msg);
    SELECT array_agg(h.endpoint) INTO led FROM postrider.heads h WHERE h.app = p_app AND h.msg = p_msg;
    IF led IS NOT NULL THEN
        PERFORM postrider.pass_on_1(array_fill(p_app, ARRAY[cardinality(led)]), led, array_fill(p_msg, ARRAY[cardinality(led)]), now_ms);
    END IF;
    RETURN erased;
END $$;

-- As purge_endpoint_1, with the endpoint's order.
CREATE FUNCTION postrider.purge_endpoint_ordered_1(p_app uuid, p_endpoint uuid, p_limit int8) RETURNS int8 LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off AS $$
DECLARE
    hit int8;
    gone int8 := 0;
    one record;
BEGIN
    FOR one IN SELECT c.key, c.seq FROM postrider.waiting c WHERE c.app = p_app AND c.endpoint = p_endpoint LIMIT p_limit LOOP
        DELETE FROM postrider.waiting w
        WHERE w.app = p_app AND w.endpoint = p_endpoint AND w.key = one.key AND w.seq = one.seq;
        gone := gone + 1;
    END LOOP;
    DELETE FROM postrider.heads h WHERE h.app = p_app AND h.endpoint = p_endpoint AND h.key = ANY (ARRAY(
        SELECT c.key FROM postrider.heads c WHERE c.app = p_app AND c.endpoint = p_endpoint
        LIMIT greatest(p_limit - gone, 0)));
    GET DIAGNOSTICS hit = ROW_COUNT;
    gone := gone + hit;
    IF gone < p_limit THEN
        gone := gone + postrider.purge_endpoint_1(p_app, p_endpoint, p_limit - gone);
    END IF;
    RETURN gone;
END $$;
