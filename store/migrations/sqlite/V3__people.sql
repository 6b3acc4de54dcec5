-- Authorization codes. body is the grant that the code is worth, as JSON. A redeemed code is kept for an hour, so
-- that a second use of it is noticed. One that was revoked is spent, and there is no row of its grant.
create table codes (
    id        blob    not null primary key,
    client    text    not null,
    subject   text    not null,
    session   blob    not null,
    offline   integer not null,
    redirect  text    not null,
    challenge blob    not null, -- SHA-256
    nonce     text    not null,
    expires   integer not null,
    spent     integer,
    grant_id  blob    not null,
    body      text    not null
) without rowid;

create index codes_expires on codes (expires);
create index codes_subject on codes (subject);
create index codes_session on codes (session) where spent is null;
create index codes_grant on codes (grant_id) where spent is null;

-- What users have allowed clients: one row a grant, from the redeemed code to its end. body is the whole grant as JSON.
create table grants (
    id      blob    not null primary key,
    client  text    not null,
    subject text    not null,
    session blob    not null,
    offline integer not null,
    revoked integer not null,
    ends    integer not null, -- Unix microseconds; expires, or when it was revoked
    body    text    not null
) without rowid;

create index grants_subject on grants (subject, id);
create index grants_client on grants (client, id);
create index grants_session on grants (session, id);
create index grants_ends on grants (ends);

-- body is the whole consent as JSON.
create table consents (
    user_id blob not null,
    client  text not null,
    body    text not null,
    primary key (user_id, client)
) without rowid;

create index consents_client on consents (client);

-- Authorization requests that were pushed.
create table pushed (
    id      blob    not null primary key,
    client  text    not null,
    params  text    not null, -- form-encoded
    expires integer not null
) without rowid;

create index pushed_expires on pushed (expires);

-- Assertions that were accepted: a hash of the client's id and the jti.
create table jtis (
    hash    blob    not null primary key,
    expires integer not null
) without rowid;

create index jtis_expires on jtis (expires);

-- Logout tokens to deliver.
create table logouts (
    id       blob    not null primary key,
    client   text    not null,
    subject  text    not null,
    session  blob    not null,
    attempts integer not null,
    next     integer not null -- Unix microseconds; when to try
) without rowid;

create index logouts_next on logouts (next);
