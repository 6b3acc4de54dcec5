-- The feed: every change to what replicas hold whole, numbered in the order in
-- which the changes became visible. The number is drawn under an advisory lock
-- that is held to commit. A replica at (seq, tag) must find the pair again, or
-- it followed another history. The first row is there so that there is always
-- a row to stand on.
create sequence changes_seq as bigint cache 1;

create table changes (
    seq  bigint      not null primary key,
    tag  bigint      not null default ('x' || right(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
    at   timestamptz not null default clock_timestamp(),
    body json        not null
);

insert into changes (seq, body) values (nextval('changes_seq'), '{}');

-- What is dead before it expires. kind: 1 token, 2 grant, 3 session, 4 key.
create table denials (
    kind    smallint    not null,
    id      uuid        not null,
    expires timestamptz not null,
    actor   text        not null,
    at      timestamptz not null,
    primary key (kind, id)
);

create index denials_expires on denials (expires);

-- Everything of kind and name whose position is below number is dead.
-- kind: all, client, subject.
create table cutoffs (
    kind   text        not null,
    name   text        not null,
    number bigint      not null,
    actor  text        not null,
    at     timestamptz not null,
    primary key (kind, name)
);

-- Token records, one partition for each UTC day of expiry, named
-- tokens_YYYYMMDD. The server makes partitions ahead and drops past ones.
-- There is no default partition: attaching beside one would scan it.
create table tokens (
    id      uuid        not null,
    expires timestamptz not null,
    record  bytea       not null,
    primary key (id, expires)
) partition by range (expires);

-- body is the whole client as JSON; the columns before it are for people.
create table clients (
    id       text        not null primary key,
    disabled boolean     not null,
    version  bigint      not null,
    created  timestamptz not null,
    updated  timestamptz not null,
    body     jsonb       not null
);

-- body is the whole key as JSON, its private part sealed.
create table keys (
    id      uuid        not null primary key,
    number  integer     not null,
    use     text        not null,
    alg     text        not null,
    state   text        not null,
    created timestamptz not null,
    body    jsonb       not null
);

create unique index keys_one_active on keys (use, alg) where state = 'active';
create unique index keys_one_next on keys (use, alg) where state = 'next';
create unique index keys_one_number on keys (number) where use = 'mac' and state <> 'retired';

create table audit (
    id     bigint      not null generated always as identity primary key,
    at     timestamptz not null,
    actor  text        not null,
    action text        not null,
    object text        not null,
    before jsonb,
    after  jsonb
);

create table replicas (
    id       uuid        not null primary key,
    version  text        not null,
    started  timestamptz not null,
    public   text        not null,
    admin    text        not null,
    fence_ms bigint      not null,
    position bigint      not null,
    seen     timestamptz not null
);
