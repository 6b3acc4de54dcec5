-- body is the whole rate limit as JSON.
create table limits (
    name text not null primary key,
    body text not null
) without rowid;

-- The limits of a first start. They are rows and no code: what operators change
-- stays changed, and what they delete stays deleted.
insert into limits (name, body)
select value->>'name', json_set(value, '$.version', 1, '$.created', at, '$.updated', at)
from (select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as at), json_each('[
    {"name": "login.ip", "endpoint": "login", "key": "ip", "rate": 30, "period": "15m", "burst": 30, "mode": "enforce"},
    {"name": "login.username", "endpoint": "login", "key": "username", "rate": 10, "period": "15m", "burst": 10, "mode": "enforce"},
    {"name": "failures.client+ip", "endpoint": "failures", "key": "client+ip", "rate": 10, "period": "1m", "burst": 10, "mode": "enforce"},
    {"name": "token.ip", "endpoint": "token", "key": "ip", "rate": 1000, "period": "1s", "burst": 2000, "mode": "shadow"},
    {"name": "token.client", "endpoint": "token", "key": "client", "rate": 1000, "period": "1s", "burst": 2000, "mode": "shadow"},
    {"name": "introspect.client", "endpoint": "introspect", "key": "client", "rate": 10000, "period": "1s", "burst": 20000, "mode": "shadow"},
    {"name": "revoke.client", "endpoint": "revoke", "key": "client", "rate": 500, "period": "1s", "burst": 1000, "mode": "shadow"}
]');

-- What each replica counted in each minute; body is all of it as JSON.
create table limit_minutes (
    minute  integer not null, -- Unix minutes
    replica blob    not null,
    body    text    not null,
    primary key (minute, replica)
) without rowid;

-- Keys that a limit has refused: a hash of the key, and the version of the limit that was the first to refuse it.
create table limit_refused (
    name    text    not null,
    hash    blob    not null,
    version integer not null,
    at      integer not null, -- the last refusal that is known, to the hour
    primary key (name, hash)
) without rowid;

create index limit_refused_version on limit_refused (name, version);
create index limit_refused_at on limit_refused (at);

-- body is the whole user as JSON, the password hashed.
create table users (
    id       blob not null primary key,
    username text not null,
    body     text not null
) without rowid;

create unique index users_one_username on users (username);

create index audit_object on audit (object, id);

-- For people: a token by its id alone, and the newest ones. Ids are ordered by time, so it grows at its end.
create index tokens_id on tokens (id);
