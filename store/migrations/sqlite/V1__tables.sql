-- Times are Unix seconds unless a name says otherwise; ids are 16 bytes.

-- The feed: every change to what replicas hold whole. SQLite has one writer at
-- a time, so the next number is the highest plus one, and numbers become
-- visible in order. A replica at (seq, tag) must find the pair again, or it
-- followed another history. The newest row is never deleted; the first is there
-- so that there is always a row to stand on.
create table changes (
    seq  integer not null primary key,
    tag  integer not null,
    at   integer not null,
    body text    not null
);

insert into changes (seq, tag, at, body) values (1, random(), unixepoch(), '{}');

-- What is dead before it expires. kind: 1 token, 2 grant, 3 session, 4 key.
create table denials (
    kind    integer not null,
    id      blob    not null,
    expires integer not null,
    actor   text    not null,
    at      integer not null,
    primary key (kind, id)
) without rowid;

create index denials_expires on denials (expires);

-- Everything of kind and name whose position is below number is dead.
-- kind: all, client, subject.
create table cutoffs (
    kind   text    not null,
    name   text    not null,
    number integer not null,
    actor  text    not null,
    at     integer not null,
    primary key (kind, name)
) without rowid;

-- Token records. A token carries its expiry, so that a look-up knows both
-- columns; expiry comes first so that new rows go to the end and the expired
-- ones lie together at the front.
create table tokens (
    expires integer not null,
    id      blob    not null,
    record  blob    not null,
    primary key (expires, id)
) without rowid;

-- body is the whole client as JSON.
create table clients (
    id   text not null primary key,
    body text not null
) without rowid;

-- body is the whole key as JSON, its private part sealed.
create table keys (
    id      blob    not null primary key,
    number  integer not null,
    use     text    not null,
    alg     text    not null,
    state   text    not null,
    created integer not null, -- Unix microseconds
    body    text    not null
) without rowid;

create unique index keys_one_active on keys (use, alg) where state = 'active';
create unique index keys_one_next on keys (use, alg) where state = 'next';
create unique index keys_one_number on keys (number) where use = 'mac' and state <> 'retired';

create table audit (
    id     integer not null primary key autoincrement,
    at     integer not null, -- Unix microseconds
    actor  text    not null,
    action text    not null,
    object text    not null,
    before text,
    after  text
);

-- body is the whole replica as JSON.
create table replicas (
    id   blob    not null primary key,
    seen integer not null, -- Unix milliseconds
    body text    not null
) without rowid;
