-- Changes of records. Refusals are raised as PR001 (conflict) and PR002 (stale); the detail is the record's kind.

-- Inserts (0), replaces (1), writes (2) or deletes (3) records in order, all or none.
CREATE FUNCTION postrider.change_1(
    ops int2[], kinds int2[], scopes text[], keys text[], alias_scopes text[], aliases text[],
    expiries int8[], bodies text[], revisions int8[], told boolean[], now_ms int8
) RETURNS void LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    n int;
    hit int;
BEGIN
    FOR n IN 1 .. cardinality(ops) LOOP
        IF ops[n] = 3 THEN
            DELETE FROM postrider.records r WHERE r.scope = scopes[n] AND r.kind = kinds[n] AND r.key = keys[n];
        ELSE
            IF aliases[n] IS NOT NULL THEN
                DELETE FROM postrider.records r
                WHERE r.alias_scope = alias_scopes[n] AND r.kind = kinds[n] AND r.alias = aliases[n]
                  AND (r.scope, r.key) <> (scopes[n], keys[n]) AND r.expires_at <= now_ms;
            END IF;
            BEGIN
                IF ops[n] = 1 THEN
                    UPDATE postrider.records r
                    SET alias_scope = alias_scopes[n], alias = aliases[n], revision = nextval('postrider.revision'),
                        expires_at = expiries[n], body = bodies[n]
                    WHERE r.scope = scopes[n] AND r.kind = kinds[n] AND r.key = keys[n]
                      AND r.revision = revisions[n] AND (r.expires_at IS NULL OR r.expires_at > now_ms);
                    GET DIAGNOSTICS hit = ROW_COUNT;
                    IF hit = 0 THEN
                        RAISE EXCEPTION 'stale' USING ERRCODE = 'PR002';
                    END IF;
                ELSE
                    INSERT INTO postrider.records AS r
                        (scope, kind, key, alias_scope, alias, revision, expires_at, body)
                    VALUES (scopes[n], kinds[n], keys[n], alias_scopes[n], aliases[n], nextval('postrider.revision'),
                        expiries[n], bodies[n])
                    ON CONFLICT (scope, kind, key) DO UPDATE
                    SET alias_scope = excluded.alias_scope, alias = excluded.alias, revision = excluded.revision,
                        expires_at = excluded.expires_at, body = excluded.body
                    WHERE ops[n] = 2 OR r.expires_at <= now_ms;
                    GET DIAGNOSTICS hit = ROW_COUNT;
                    IF hit = 0 THEN
                        RAISE EXCEPTION 'conflict' USING ERRCODE = 'PR001', DETAIL = kinds[n]::text;
                    END IF;
                END IF;
            EXCEPTION WHEN unique_violation THEN
                RAISE EXCEPTION 'conflict' USING ERRCODE = 'PR001', DETAIL = kinds[n]::text;
            END;
        END IF;
        IF told[n] THEN
            INSERT INTO postrider.changes (scope, kind, key) VALUES (scopes[n], kinds[n], keys[n]);
        END IF;
    END LOOP;
    IF true = ANY (told) THEN
        PERFORM pg_notify('postrider', 'records');
    END IF;
END $$;
