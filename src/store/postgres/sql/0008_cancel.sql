-- Cancelling: what a pending delivery is owed goes. What somebody holds becomes moot, so that nobody claims it again and the
-- result of an attempt that flies is recorded still; the other nodes are told.

-- Cancels a delivery that is pending; whether it was. Locks in the order of results: the queue's rows, then the delivery's.
CREATE FUNCTION postrider.cancel_1(p_app uuid, p_endpoint uuid, p_msg uuid, now_ms int8) RETURNS boolean LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off AS $$
DECLARE known uuid[];
BEGIN
    SELECT m.endpoints INTO known FROM postrider.messages m WHERE m.app = p_app AND m.id = p_msg FOR UPDATE;
    IF NOT FOUND OR p_endpoint <> ALL (known) THEN
        RETURN false;
    END IF;
    PERFORM FROM postrider.queue q WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint
    ORDER BY q.trigger FOR UPDATE;
    INSERT INTO postrider.deliveries AS d (app, endpoint, msg, state, failed, attempts)
    VALUES (p_app, p_endpoint, p_msg, 3, 0, '{}')
    ON CONFLICT (app, endpoint, msg) DO UPDATE SET state = 3, due = NULL WHERE d.state = 0;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE postrider.queue q SET moot = true WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint
      AND q.trigger = 1 AND q.lease_token IS NOT NULL;
    IF FOUND THEN
        PERFORM pg_notify('postrider', 'cancelled ' || replace(p_endpoint::text, '-', '') || ' ' || replace(p_msg::text, '-', ''));
    END IF;
    DELETE FROM postrider.queue q WHERE q.app = p_app AND q.msg = p_msg AND q.endpoint = p_endpoint AND q.lease_token IS NULL;
    PERFORM postrider.pass_on_1(ARRAY[p_app], ARRAY[p_endpoint], ARRAY[p_msg], now_ms);
    RETURN true;
END $$;
