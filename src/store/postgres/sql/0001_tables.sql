-- Tables. Every primary key starts with the owner: an organization, an application, or what stands for one.
-- Times are milliseconds since 1970, as identifiers carry them: an identifier's first 48 bits are its time, so that
-- tables that are partitioned by identifier are partitioned by time.

-- Configuration. `scope` is the parent's id (an organization's, an application's, a source's).
CREATE SEQUENCE postrider.revision;
CREATE TABLE postrider.records (
    scope       text   NOT NULL,
    kind        int2   NOT NULL CHECK (kind >= 0),
    key         text   NOT NULL,
    alias_scope text,
    alias       text,
    revision    int8   NOT NULL CHECK (revision > 0),
    expires_at  int8   CHECK (expires_at >= 0),
    body        text   NOT NULL,
    PRIMARY KEY (scope, kind, key),
    CHECK ((alias IS NULL) = (alias_scope IS NULL))
);
CREATE UNIQUE INDEX records_alias ON postrider.records (alias_scope, kind, alias) WHERE alias IS NOT NULL;
CREATE INDEX records_kind ON postrider.records (kind, scope, key);
CREATE INDEX records_expiry ON postrider.records (expires_at) WHERE expires_at IS NOT NULL;

-- Small texts that all nodes share.
CREATE TABLE postrider.settings (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- What changed, so that every node's tables in memory follow. `xact`: the transaction, by which readers miss none.
CREATE TABLE postrider.changes (
    scope text   NOT NULL,
    kind  int2   NOT NULL,
    key   text   NOT NULL,
    xact  xid8   NOT NULL DEFAULT pg_current_xact_id(),
    at    timestamptz NOT NULL DEFAULT now(),
    seq   int8   GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (scope, seq)
);
CREATE INDEX changes_xact ON postrider.changes (xact);

-- Processes that deliver. A lease counts while its node's row does, so that one small update keeps all of them.
CREATE SEQUENCE postrider.node_number MAXVALUE 8388607;
CREATE TABLE postrider.nodes (
    node       int8 PRIMARY KEY CHECK (node > 0),
    expires_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);

-- Which application an endpoint belongs to: most questions name the endpoint alone.
CREATE TABLE postrider.lanes (
    app      uuid NOT NULL,
    endpoint uuid NOT NULL,
    PRIMARY KEY (app, endpoint)
);
CREATE INDEX lanes_endpoint ON postrider.lanes (endpoint);

-- A row exists exactly while an attempt is owed. `trigger`: 0 manual, 1 scheduled. `moot`: settled while the attempt flies.
CREATE TABLE postrider.queue (
    app         uuid    NOT NULL,
    msg         uuid    NOT NULL,
    endpoint    uuid    NOT NULL,
    trigger     int2    NOT NULL CHECK (trigger IN (0, 1)),
    due         int8    NOT NULL CHECK (due >= 0 AND (trigger = 1 OR due = 0)),
    lease_token int8    CHECK (lease_token >= 0),
    lease_until int8,
    moot        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (app, msg, endpoint, trigger),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CHECK (NOT moot OR (trigger = 1 AND lease_token IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_threshold = 100000);
CREATE INDEX queue_due ON postrider.queue (endpoint, due, msg, trigger) WHERE NOT moot;
CREATE INDEX queue_moot ON postrider.queue (endpoint) WHERE moot;

CREATE TABLE postrider.event_ids (
    app      uuid  NOT NULL,
    event_id bytea NOT NULL,
    msg      uuid  NOT NULL,
    PRIMARY KEY (app, event_id)
);
CREATE INDEX event_ids_msg ON postrider.event_ids (app, msg);

CREATE TABLE postrider.messages (
    app        uuid   NOT NULL,
    id         uuid   NOT NULL,
    endpoints  uuid[] NOT NULL,
    expires_at int8   CHECK (expires_at >= 0),
    expunged   boolean NOT NULL DEFAULT false,
    head       bytea  NOT NULL,
    payload    bytea  NOT NULL,
    PRIMARY KEY (app, id),
    CHECK (NOT expunged OR (length(payload) = 0 AND expires_at IS NULL))
) PARTITION BY RANGE (id);
CREATE INDEX messages_expiry ON postrider.messages (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE postrider.messages_default PARTITION OF postrider.messages DEFAULT;

-- A delivery has a row from its first attempt on. `state`: 0 pending, 1 delivered, 2 exhausted, 3 cancelled.
CREATE TABLE postrider.deliveries (
    app      uuid   NOT NULL,
    endpoint uuid   NOT NULL,
    msg      uuid   NOT NULL,
    state    int2   NOT NULL CHECK (state BETWEEN 0 AND 3),
    due      int8   CHECK (due >= 0),
    failed   int4   NOT NULL CHECK (failed >= 0),
    attempts uuid[] NOT NULL,
    PRIMARY KEY (app, endpoint, msg),
    CHECK ((state = 0) = (due IS NOT NULL)),
    CHECK (state <> 1 OR cardinality(attempts) > 0)
) PARTITION BY RANGE (msg);
CREATE TABLE postrider.deliveries_default PARTITION OF postrider.deliveries DEFAULT;

CREATE TABLE postrider.attempts (
    app      uuid  NOT NULL,
    endpoint uuid  NOT NULL,
    id       uuid  NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (app, endpoint, id)
) PARTITION BY RANGE (id);
CREATE TABLE postrider.attempts_default PARTITION OF postrider.attempts DEFAULT;
