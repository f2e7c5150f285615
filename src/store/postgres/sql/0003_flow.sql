-- The flow: whole groups in one call each. Arrays of one name prefix go together, element by element.
-- Plans are kept by the server for each of its connections, so nothing has to be prepared by the client; index scans are
-- forced because the tables' sizes change faster than their statistics, and nothing is compiled just in time: a forced plan looks
-- expensive, and compiling one takes a second.
--
-- No list is joined with a table that is changed. The planner may begin with the table, and does when that was nearly empty at
-- its last vacuum, as a queue is: then it reads all of the table once for each element. So changes go by an array of keys, or row
-- by row through functions that know one row's key, and reads of other tables are lateral.

-- Takes an entry out of the queue if that lease stands; whether it does.
CREATE FUNCTION postrider.take_1(p_app uuid, p_msg uuid, p_endpoint uuid, p_trigger int2, p_token int8)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM postrider.queue q WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint AND q.trigger = p_trigger
      AND q.lease_token = p_token;
    RETURN FOUND;
END $$;

-- Leases an entry, which the caller has locked.
CREATE FUNCTION postrider.lease_1(p_app uuid, p_msg uuid, p_endpoint uuid, p_trigger int2, p_token int8, p_until int8)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE postrider.queue q SET lease_token = p_token, lease_until = p_until
    WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint AND q.trigger = p_trigger;
    RETURN FOUND;
END $$;

-- Gives a lease on an entry back; an entry that became moot goes. Whether it stood.
CREATE FUNCTION postrider.release_1(p_app uuid, p_msg uuid, p_endpoint uuid, p_trigger int2, p_token int8)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM postrider.queue q WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint AND q.trigger = p_trigger
      AND q.lease_token = p_token AND q.moot;
    UPDATE postrider.queue q SET lease_token = NULL, lease_until = NULL
    WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint AND q.trigger = p_trigger AND q.lease_token = p_token;
    RETURN FOUND;
END $$;

-- Gives all leases of an endpoint with that number back.
CREATE FUNCTION postrider.release_all_1(p_endpoint uuid, p_token int8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE postrider.queue q SET lease_token = NULL, lease_until = NULL
    WHERE q.endpoint = p_endpoint AND q.lease_token = p_token AND NOT q.moot;
    RETURN FOUND;
END $$;

-- Ends the schedule of a delivery that was settled by hand: an attempt of it that flies is recorded and changes nothing.
CREATE FUNCTION postrider.end_schedule_1(p_app uuid, p_msg uuid, p_endpoint uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM postrider.deliveries d WHERE d.app = p_app AND d.endpoint = p_endpoint AND d.msg = p_msg AND d.state <> 0;
    IF FOUND THEN
        UPDATE postrider.queue q SET moot = true WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint
          AND q.trigger = 1 AND q.lease_token IS NOT NULL;
        DELETE FROM postrider.queue q WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint
          AND q.trigger = 1 AND q.lease_token IS NULL;
    END IF;
END $$;

-- Accepts messages with their queue entries, event ids and marks. Returns the messages refused: 1 for an event id that is
-- taken, 2 for a mark that is there. Nothing of those stays.
CREATE FUNCTION postrider.accept_1(
    m_app uuid[], m_id uuid[], m_endpoints text[], m_expires int8[], m_head bytea[], m_payload bytea[],
    q_app uuid[], q_msg uuid[], q_endpoint uuid[], q_due int8[], q_token int8[], q_until int8[],
    e_app uuid[], e_id bytea[], e_msg uuid[],
    r_msg uuid[], r_kind int2[], r_scope text[], r_key text[], r_expires int8[], r_body text[], r_now int8[],
    l_app uuid[], l_endpoint uuid[]
) RETURNS TABLE (msg uuid, why int2) LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    no_event uuid[] := '{}';
    no_mark uuid[] := '{}';
    marked uuid[];
BEGIN
    IF cardinality(e_msg) > 0 THEN
        WITH won AS (
            INSERT INTO postrider.event_ids (app, event_id, msg)
            SELECT * FROM unnest(e_app, e_id, e_msg) AS e (app, event_id, msg) ORDER BY 1, 2
            ON CONFLICT DO NOTHING RETURNING event_ids.msg)
        SELECT coalesce(array_agg(lost.msg), '{}') INTO no_event
        FROM unnest(e_msg) AS lost (msg) WHERE lost.msg NOT IN (SELECT won.msg FROM won);
    END IF;
    IF cardinality(r_msg) > 0 THEN
        WITH won AS (
            INSERT INTO postrider.records AS r (scope, kind, key, revision, expires_at, body)
            SELECT m.scope, m.kind, m.key, nextval('postrider.revision'), m.expires, m.body
            FROM unnest(r_msg, r_kind, r_scope, r_key, r_expires, r_body)
                AS m (msg, kind, scope, key, expires, body)
            WHERE m.msg <> ALL (no_event) ORDER BY m.scope, m.kind, m.key
            ON CONFLICT (scope, kind, key) DO UPDATE
            SET revision = excluded.revision, expires_at = excluded.expires_at, body = excluded.body,
                alias_scope = NULL, alias = NULL
            WHERE r.expires_at <= (SELECT min(t) FROM unnest(r_now) AS t)
            RETURNING r.scope, r.kind, r.key)
        SELECT coalesce(array_agg(lost.msg), '{}') INTO no_mark
        FROM unnest(r_msg, r_kind, r_scope, r_key) AS lost (msg, kind, scope, key)
        WHERE lost.msg <> ALL (no_event)
          AND NOT EXISTS (SELECT FROM won WHERE (won.scope, won.kind, won.key) = (lost.scope, lost.kind, lost.key));
        IF cardinality(no_mark) > 0 THEN
            DELETE FROM postrider.event_ids e WHERE e.app = ANY (e_app) AND e.msg = ANY (no_mark);
        END IF;
    END IF;
    IF cardinality(l_app) > 0 THEN
        INSERT INTO postrider.lanes (app, endpoint)
        SELECT * FROM unnest(l_app, l_endpoint) ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    END IF;
    marked := no_event || no_mark;
    IF cardinality(marked) = 0 THEN
        INSERT INTO postrider.messages (app, id, endpoints, expires_at, head, payload)
        SELECT m.app, m.id, m.endpoints::uuid[], m.expires, m.head, m.payload
        FROM unnest(m_app, m_id, m_endpoints, m_expires, m_head, m_payload) AS m (app, id, endpoints, expires, head, payload);
        INSERT INTO postrider.queue (app, msg, endpoint, trigger, due, lease_token, lease_until)
        SELECT q.app, q.msg, q.endpoint, 1, q.due, q.token, q.until
        FROM unnest(q_app, q_msg, q_endpoint, q_due, q_token, q_until) AS q (app, msg, endpoint, due, token, until);
    ELSE
        INSERT INTO postrider.messages (app, id, endpoints, expires_at, head, payload)
        SELECT m.app, m.id, m.endpoints::uuid[], m.expires, m.head, m.payload
        FROM unnest(m_app, m_id, m_endpoints, m_expires, m_head, m_payload) AS m (app, id, endpoints, expires, head, payload)
        WHERE m.id <> ALL (marked);
        INSERT INTO postrider.queue (app, msg, endpoint, trigger, due, lease_token, lease_until)
        SELECT q.app, q.msg, q.endpoint, 1, q.due, q.token, q.until
        FROM unnest(q_app, q_msg, q_endpoint, q_due, q_token, q_until) AS q (app, msg, endpoint, due, token, until)
        WHERE q.msg <> ALL (marked);
        RETURN QUERY SELECT u, 1::int2 FROM unnest(no_event) AS u UNION ALL SELECT u, 2::int2 FROM unnest(no_mark) AS u;
    END IF;
END $$;

-- Records results whose lease still stands; those deliveries as they are then. A pair of message and endpoint comes once.
-- `verdict`: 0 retry, 1 delivered, 2 exhausted, 3 cancelled. The row that would be the first carries the verdict to one
-- that is there: `failed` = 1 marks a failure of the schedule, 0 with state 0 a manual failure, which changes nothing.
-- Not flushed by itself: what is lost with the server's power is attempted again.
CREATE FUNCTION postrider.settle_1(
    s_app uuid[], s_msg uuid[], s_endpoint uuid[], s_trigger int2[], s_token int8[], s_verdict int2[], s_due int8[],
    s_first int8[], s_attempt uuid[], s_body bytea[]
) RETURNS TABLE (n int8, state int2, due int8, failed int4, attempts uuid[])
LANGUAGE plpgsql SET jit = off SET enable_seqscan = off SET enable_mergejoin = off SET enable_nestloop = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH given AS (
        SELECT * FROM unnest(s_app, s_msg, s_endpoint, s_trigger, s_token, s_verdict, s_due, s_first, s_attempt, s_body)
            WITH ORDINALITY AS g (app, msg, endpoint, trigger, token, verdict, due, first, attempt, body, n)
    ), gone AS MATERIALIZED (
        SELECT g.n, g.app, g.msg, g.endpoint, g.trigger, g.verdict, g.due, g.first, g.attempt, g.body FROM given g
        WHERE postrider.take_1(g.app, g.msg, g.endpoint, g.trigger, g.token)
    ), now_is AS (
        INSERT INTO postrider.deliveries AS d (app, endpoint, msg, state, due, failed, attempts)
        SELECT g.app, g.endpoint, g.msg,
            CASE WHEN g.trigger = 0 AND g.verdict IN (0, 2) THEN 0 ELSE g.verdict END,
            CASE WHEN g.verdict = 0 AND g.trigger = 1 THEN g.due
                 WHEN g.verdict IN (0, 2) AND g.trigger = 0 THEN coalesce((
                    SELECT s.due FROM postrider.queue s
                    WHERE s.app = g.app AND s.msg = g.msg AND s.endpoint = g.endpoint AND s.trigger = 1), g.first) END,
            CASE WHEN g.verdict IN (0, 2) AND g.trigger = 1 THEN 1 ELSE 0 END,
            CASE WHEN g.attempt IS NULL THEN '{}'::uuid[] ELSE ARRAY[g.attempt] END
        FROM gone g
        ON CONFLICT (app, endpoint, msg) DO UPDATE SET
            state = CASE WHEN excluded.state = 1 THEN 1
                         WHEN excluded.state = 3 AND d.state <> 1 THEN 3
                         WHEN excluded.failed = 1 AND d.state IN (0, 2) THEN excluded.state
                         ELSE d.state END,
            due = CASE WHEN excluded.state IN (1, 3) THEN NULL
                       WHEN excluded.failed = 1 AND d.state IN (0, 2) THEN excluded.due
                       ELSE d.due END,
            failed = d.failed + CASE WHEN excluded.failed = 1 AND d.state IN (0, 2) THEN 1 ELSE 0 END,
            attempts = d.attempts || excluded.attempts
        RETURNING d.app, d.endpoint, d.msg, d.state, d.due, d.failed, d.attempts
    ), tried AS (
        INSERT INTO postrider.attempts (app, endpoint, id, body)
        SELECT g.app, g.endpoint, g.attempt, g.body FROM gone g WHERE g.attempt IS NOT NULL
    ), result AS MATERIALIZED (
        SELECT g.n, g.app, g.msg, g.endpoint, g.trigger, w.state, w.due, w.failed, w.attempts
        FROM gone g JOIN now_is w ON w.app = g.app AND w.endpoint = g.endpoint AND w.msg = g.msg
    ), again AS (
        INSERT INTO postrider.queue (app, msg, endpoint, trigger, due)
        SELECT r.app, r.msg, r.endpoint, 1, r.due FROM result r WHERE r.trigger = 1 AND r.state = 0
    )
    SELECT r.n, r.state, r.due, r.failed, r.attempts FROM result r;
    IF 0 = ANY (s_trigger) THEN
        -- A manual success ends the schedule.
        PERFORM postrider.end_schedule_1(g.app, g.msg, g.endpoint)
        FROM unnest(s_app, s_msg, s_endpoint, s_trigger, s_verdict) AS g (app, msg, endpoint, trigger, verdict)
        WHERE g.trigger = 0 AND g.verdict IN (1, 3);
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
END $$;

-- Leases an endpoint's due deliveries and loads them; a last row without a message says when the next is due that nobody
-- holds. A lease stands by its own time, or by its node's row.
CREATE FUNCTION postrider.claim_1(p_endpoint uuid, p_token int8, p_until int8, now_ms int8, p_limit int8)
RETURNS TABLE (
    app uuid, msg uuid, trigger int2, queued int8, endpoints uuid[], expires_at int8, expunged boolean, head bytea, payload bytea,
    state int2, due int8, failed int4, attempts uuid[]
) LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH picked AS MATERIALIZED (
        SELECT q.app, q.msg, q.trigger, q.due FROM postrider.queue q
        WHERE q.endpoint = p_endpoint AND NOT q.moot AND q.due <= now_ms
          AND (q.lease_token IS NULL OR (q.lease_until <= now_ms
               AND q.lease_token >> 40 NOT IN (SELECT n.node FROM postrider.nodes n WHERE n.expires_at > now())))
        ORDER BY q.due, q.msg, q.trigger LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), taken AS MATERIALIZED (
        SELECT p.app, p.msg, p.trigger, p.due FROM picked p
        WHERE postrider.lease_1(p.app, p.msg, p_endpoint, p.trigger, p_token, p_until)
    )
    SELECT t.app, t.msg, t.trigger, t.due, m.endpoints, m.expires_at, m.expunged, m.head, m.payload,
           d.state, d.due, d.failed, d.attempts
    FROM taken t
    JOIN LATERAL (SELECT * FROM postrider.messages o WHERE o.app = t.app AND o.id = t.msg OFFSET 0) m ON true
    LEFT JOIN LATERAL (
        SELECT * FROM postrider.deliveries o WHERE o.app = t.app AND o.endpoint = p_endpoint AND o.msg = t.msg OFFSET 0) d ON true
    ORDER BY t.due, t.msg, t.trigger;
    RETURN QUERY
    SELECT NULL::uuid, NULL::uuid, NULL::int2, q.due, NULL::uuid[], NULL::int8, NULL::boolean, NULL::bytea, NULL::bytea,
           NULL::int2, NULL::int8, NULL::int4, NULL::uuid[]
    FROM postrider.queue q
    WHERE q.endpoint = p_endpoint AND NOT q.moot
      AND (q.lease_token IS NULL OR (q.lease_until <= now_ms
           AND q.lease_token >> 40 NOT IN (SELECT n.node FROM postrider.nodes n WHERE n.expires_at > now())))
    ORDER BY q.due LIMIT 1;
END $$;

-- As settle_1 for one result, with changes of records: both or neither.
CREATE FUNCTION postrider.settle_changing_1(
    s_app uuid[], s_msg uuid[], s_endpoint uuid[], s_trigger int2[], s_token int8[], s_verdict int2[], s_due int8[],
    s_first int8[], s_attempt uuid[], s_body bytea[],
    ops int2[], kinds int2[], scopes text[], keys text[], alias_scopes text[], aliases text[],
    expiries int8[], bodies text[], revisions int8[], told boolean[], now_ms int8
) RETURNS TABLE (n int8, state int2, due int8, failed int4, attempts uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM postrider.settle_1(
        s_app, s_msg, s_endpoint, s_trigger, s_token, s_verdict, s_due, s_first, s_attempt, s_body);
    IF FOUND THEN
        PERFORM postrider.change_1(
            ops, kinds, scopes, keys, alias_scopes, aliases, expiries, bodies, revisions, told, now_ms);
    END IF;
END $$;

-- Queues one manual attempt; false when there is no such message. What the message had not matched is added to it.
CREATE FUNCTION postrider.once_1(p_app uuid, p_endpoint uuid, p_msg uuid) RETURNS boolean LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off AS $$
DECLARE known uuid[];
BEGIN
    SELECT m.endpoints INTO known FROM postrider.messages m WHERE m.app = p_app AND m.id = p_msg FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_endpoint <> ALL (known) THEN
        UPDATE postrider.messages m SET endpoints = known || p_endpoint WHERE m.app = p_app AND m.id = p_msg;
        -- It never had a schedule, so nothing automatic is left to wait for.
        INSERT INTO postrider.deliveries (app, endpoint, msg, state, failed, attempts)
        VALUES (p_app, p_endpoint, p_msg, 2, 0, '{}') ON CONFLICT DO NOTHING;
        INSERT INTO postrider.lanes (app, endpoint) VALUES (p_app, p_endpoint) ON CONFLICT DO NOTHING;
    END IF;
    INSERT INTO postrider.queue (app, msg, endpoint, trigger, due) VALUES (p_app, p_msg, p_endpoint, 0, 0)
    ON CONFLICT DO NOTHING;
    RETURN true;
END $$;

-- Starts the schedules of exhausted deliveries anew, for messages in [low, high); how many. At most `p_limit`.
CREATE FUNCTION postrider.restart_1(p_app uuid, p_endpoint uuid, low uuid, high uuid, now_ms int8, p_limit int8)
RETURNS int8 LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    picked uuid[];
    restarted int8;
BEGIN
    picked := ARRAY(
        SELECT d.msg FROM postrider.deliveries d
        WHERE d.app = p_app AND d.endpoint = p_endpoint AND d.msg >= low AND d.msg < high
          AND d.state = 2 AND cardinality(d.attempts) > 0
        ORDER BY d.msg LIMIT p_limit FOR UPDATE);
    WITH anew AS (
        UPDATE postrider.deliveries d SET state = 0, due = now_ms, failed = 0
        WHERE d.app = p_app AND d.endpoint = p_endpoint AND d.msg = ANY (picked) RETURNING d.msg
    ), queued AS (
        INSERT INTO postrider.queue AS q (app, msg, endpoint, trigger, due)
        SELECT p_app, a.msg, p_endpoint, 1, now_ms FROM anew a
        ON CONFLICT (app, msg, endpoint, trigger) DO UPDATE SET due = now_ms, moot = false
    )
    SELECT count(*) INTO restarted FROM anew;
    RETURN restarted;
END $$;

-- Deletes an application's settled messages below `high` with all that came of them; how many.
CREATE FUNCTION postrider.prune_1(p_app uuid, high uuid, p_limit int8) RETURNS int8 LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    old uuid[];
    lane record;
    tried uuid[];
BEGIN
    old := ARRAY(
        SELECT m.id FROM postrider.messages m
        WHERE m.app = p_app AND m.id < high
          AND NOT EXISTS (SELECT FROM postrider.queue q WHERE q.app = p_app AND q.msg = m.id)
        ORDER BY m.id LIMIT p_limit FOR UPDATE SKIP LOCKED);
    FOR lane IN
        SELECT e.endpoint, array_agg(m.id) AS msgs FROM postrider.messages m, unnest(m.endpoints) AS e (endpoint)
        WHERE m.app = p_app AND m.id = ANY (old) GROUP BY e.endpoint
    LOOP
        WITH gone AS (
            DELETE FROM postrider.deliveries d
            WHERE d.app = p_app AND d.endpoint = lane.endpoint AND d.msg = ANY (lane.msgs) RETURNING d.attempts)
        SELECT array_agg(a.id) INTO tried FROM gone, unnest(gone.attempts) AS a (id);
        DELETE FROM postrider.attempts a WHERE a.app = p_app AND a.endpoint = lane.endpoint AND a.id = ANY (tried);
    END LOOP;
    DELETE FROM postrider.event_ids e WHERE e.app = p_app AND e.msg = ANY (old);
    DELETE FROM postrider.messages m WHERE m.app = p_app AND m.id = ANY (old);
    RETURN cardinality(old);
END $$;
