-- Erasing: every trace of a message.

-- Deletes a message with its deliveries, attempts and what is owed; false when there is no such message. A result that comes
-- later finds no lease and is lost.
CREATE FUNCTION postrider.erase_1(p_app uuid, p_msg uuid) RETURNS boolean LANGUAGE plpgsql
SET jit = off SET enable_seqscan = off AS $$
DECLARE
    known uuid[];
    one record;
BEGIN
    SELECT m.endpoints INTO known FROM postrider.messages m WHERE m.app = p_app AND m.id = p_msg FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM postrider.queue q WHERE q.app = p_app AND q.msg = p_msg;
    FOR one IN
        DELETE FROM postrider.deliveries d WHERE d.app = p_app AND d.endpoint = ANY (known) AND d.msg = p_msg
        RETURNING d.endpoint, d.attempts
    LOOP
        DELETE FROM postrider.attempts a WHERE a.app = p_app AND a.endpoint = one.endpoint AND a.id = ANY (one.attempts);
    END LOOP;
    DELETE FROM postrider.event_ids e WHERE e.app = p_app AND e.msg = p_msg;
    DELETE FROM postrider.messages m WHERE m.app = p_app AND m.id = p_msg;
    RETURN true;
END $$;
