-- Upkeep: partitions, and deleting in bounded steps.

-- The lowest identifier of an instant.
CREATE FUNCTION postrider.lowest_1(ms int8) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(ms), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partitions of some days (since 1970), as far as they are not there; how many were made.
CREATE FUNCTION postrider.make_partitions_1(first_day int8, days int8) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
    base text;
    made int8 := 0;
BEGIN
    -- One node at a time. A table's lock, since only taking one brings the session's view of the catalogue up to date.
    LOCK TABLE postrider.settings IN SHARE UPDATE EXCLUSIVE MODE;
    PERFORM set_config('lock_timeout', '2s', true);
    FOR day IN first_day .. first_day + days - 1 LOOP
        FOREACH base IN ARRAY ARRAY['messages', 'deliveries', 'attempts'] LOOP
            CONTINUE WHEN to_regclass(format('postrider.%I', base || '_' || day)) IS NOT NULL;
            EXECUTE format('CREATE TABLE postrider.%I PARTITION OF postrider.%I FOR VALUES FROM (%L) TO (%L)',
                base || '_' || day, base, postrider.lowest_1(day::int8 * 86400000), postrider.lowest_1((day::int8 + 1) * 86400000));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Drops the oldest partition if all in it is older than `cutoff_ms` and no attempt is owed to any of its messages; whether
-- there was one.
CREATE FUNCTION postrider.retire_1(cutoff_ms int8) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    oldest int8;
    high uuid;
BEGIN
    PERFORM set_config('lock_timeout', '2s', true);
    SELECT min(substring(c.relname FROM '_([0-9]+)$')::int8) INTO oldest FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('postrider.messages'::regclass, 'postrider.deliveries'::regclass, 'postrider.attempts'::regclass)
      AND c.relname ~ '_[0-9]+$';
    IF oldest IS NULL OR (oldest + 1) * 86400000 > cutoff_ms THEN
        RETURN false;
    END IF;
    high := postrider.lowest_1((oldest + 1) * 86400000);
    IF EXISTS (SELECT FROM postrider.queue q WHERE q.msg < high) THEN
        RETURN false;
    END IF;
    DELETE FROM postrider.event_ids e WHERE e.msg < high;
    EXECUTE format('DROP TABLE IF EXISTS postrider.%I, postrider.%I, postrider.%I',
        'messages_' || oldest, 'deliveries_' || oldest, 'attempts_' || oldest);
    RETURN true;
END $$;

-- Deletes payloads and records whose time is over, attempts that became moot under a lease that is dead, and changes that
-- every node has long seen; how many payloads and records.
CREATE FUNCTION postrider.expire_1(now_ms int8, p_limit int8) RETURNS int8 LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    payloads int8 := 0;
    dropped int8 := 0;
    old record;
BEGIN
    FOR old IN
        SELECT m.app, m.id FROM postrider.messages m WHERE m.expires_at <= now_ms LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        UPDATE postrider.messages m SET payload = '', expunged = true, expires_at = NULL WHERE m.app = old.app AND m.id = old.id;
        payloads := payloads + 1;
    END LOOP;
    FOR old IN
        SELECT r.scope, r.kind, r.key FROM postrider.records r WHERE r.expires_at <= now_ms
        LIMIT p_limit - payloads FOR UPDATE SKIP LOCKED
    LOOP
        DELETE FROM postrider.records r WHERE r.scope = old.scope AND r.kind = old.kind AND r.key = old.key;
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM postrider.queue q WHERE q.moot AND q.lease_until <= now_ms
      AND q.lease_token >> 40 NOT IN (SELECT n.node FROM postrider.nodes n WHERE n.expires_at > now());
    DELETE FROM postrider.changes c WHERE c.at < now() - interval '7 days';
    RETURN payloads + dropped;
END $$;

-- Deletes rows of an endpoint; how many, at most `p_limit`.
CREATE FUNCTION postrider.purge_endpoint_1(p_app uuid, p_endpoint uuid, p_limit int8) RETURNS int8 LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off AS $$
DECLARE
    hit int8;
    gone int8 := 0;
BEGIN
    DELETE FROM postrider.queue q WHERE q.app = p_app AND q.endpoint = p_endpoint AND NOT q.moot AND q.msg = ANY (ARRAY(
        SELECT c.msg FROM postrider.queue c WHERE c.endpoint = p_endpoint AND NOT c.moot LIMIT p_limit));
    GET DIAGNOSTICS hit = ROW_COUNT;
    gone := gone + hit;
    DELETE FROM postrider.queue q WHERE q.endpoint = p_endpoint AND q.moot;
    GET DIAGNOSTICS hit = ROW_COUNT;
    gone := gone + hit;
    DELETE FROM postrider.deliveries d WHERE d.app = p_app AND d.endpoint = p_endpoint AND d.msg = ANY (ARRAY(
        SELECT c.msg FROM postrider.deliveries c WHERE c.app = p_app AND c.endpoint = p_endpoint
        LIMIT greatest(p_limit - gone, 0)));
    GET DIAGNOSTICS hit = ROW_COUNT;
    gone := gone + hit;
    DELETE FROM postrider.attempts a WHERE a.app = p_app AND a.endpoint = p_endpoint AND a.id = ANY (ARRAY(
        SELECT c.id FROM postrider.attempts c WHERE c.app = p_app AND c.endpoint = p_endpoint
        LIMIT greatest(p_limit - gone, 0)));
    GET DIAGNOSTICS hit = ROW_COUNT;
    gone := gone + hit;
    IF gone = 0 THEN
        DELETE FROM postrider.lanes l WHERE l.app = p_app AND l.endpoint = p_endpoint;
    END IF;
    RETURN gone;
END $$;

-- Deletes messages of an application; how many.
CREATE FUNCTION postrider.purge_app_1(p_app uuid, p_limit int8) RETURNS int8 LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    old uuid[];
BEGIN
    old := ARRAY(SELECT m.id FROM postrider.messages m WHERE m.app = p_app LIMIT p_limit FOR UPDATE SKIP LOCKED);
    DELETE FROM postrider.event_ids e WHERE e.app = p_app AND e.msg = ANY (old);
    DELETE FROM postrider.messages m WHERE m.app = p_app AND m.id = ANY (old);
    RETURN cardinality(old);
END $$;
