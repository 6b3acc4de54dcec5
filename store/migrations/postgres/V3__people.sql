-- Authorization codes. body is the grant that the code is worth, as JSON. A redeemed code is kept for an hour, so
-- that a second use of it is noticed. One that was revoked is spent, and there is no row of its grant.
create table codes (
    id        uuid        not null primary key,
    client    text        not null,
    subject   text        not null,
    session   uuid        not null,
    offline   boolean     not null,
    redirect  text        not null,
    challenge bytea       not null, -- SHA-256
    nonce     text        not null,
    expires   timestamptz not null,
    spent     timestamptz,
    grant_id  uuid        not null,
    body      jsonb       not null
);

create index codes_expires on codes (expires);
create index codes_subject on codes (subject);
create index codes_session on codes (session) where spent is null;
create index codes_grant on codes (grant_id) where spent is null;

-- What users have allowed clients: one row a grant, from the redeemed code to its end. A rotation touches no
-- indexed column, and finds room on the row's own page.
create table grants (
    id         uuid        not null primary key,
    client     text        not null,
    subject    text        not null,
    scope      text        not null,
    audience   text        not null,
    session    uuid        not null,
    auth_time  bigint      not null, -- Unix seconds
    acr        text        not null,
    offline    boolean     not null,
    refresh    boolean     not null,
    position   bigint      not null,
    generation bigint      not null,
    key        smallint    not null,
    rotated    timestamptz not null,
    created    timestamptz not null,
    used       timestamptz not null, -- to the minute
    expires    timestamptz not null,
    revoked    boolean     not null,
    ends       timestamptz not null  -- expires, or when it was revoked
) with (fillfactor = 80);

create index grants_subject on grants (subject, id);
create index grants_client on grants (client, id);
create index grants_session on grants (session, id);
create index grants_ends on grants (ends);

create table consents (
    user_id uuid        not null,
    client  text        not null,
    scopes  text[]      not null,
    at      timestamptz not null,
    primary key (user_id, client)
);

create index consents_client on consents (client);

-- Authorization requests that were pushed.
create table pushed (
    id      uuid        not null primary key,
    client  text        not null,
    params  text        not null, -- form-encoded
    expires timestamptz not null
);

create index pushed_expires on pushed (expires);

-- Assertions that were accepted: a hash of the client's id and the jti.
create table jtis (
    hash    bytea       not null primary key,
    expires timestamptz not null
);

create index jtis_expires on jtis (expires);

-- Logout tokens to deliver.
create table logouts (
    id       uuid        not null primary key,
    client   text        not null,
    subject  text        not null,
    session  uuid        not null,
    attempts integer     not null,
    next     timestamptz not null -- when to try
);

create index logouts_next on logouts (next);
