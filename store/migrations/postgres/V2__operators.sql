-- body is the whole rate limit as JSON; the columns before it are for people.
create table limits (
    name    text        not null primary key,
    mode    text        not null,
    version bigint      not null,
    updated timestamptz not null,
    body    jsonb       not null
);

-- The limits of a first start. They are rows and no code: what operators change
-- stays changed, and what they delete stays deleted.
insert into limits (name, mode, version, updated, body)
select body->>'name', body->>'mode', 1, at, body || jsonb_build_object('version', 1, 'created', at, 'updated', at)
from (select now() as at, value as body from jsonb_array_elements('[
    {"name": "login.ip", "endpoint": "login", "key": "ip", "rate": 30, "period": "15m", "burst": 30, "mode": "enforce"},
    {"name": "login.username", "endpoint": "login", "key": "username", "rate": 10, "period": "15m", "burst": 10, "mode": "enforce"},
    {"name": "failures.client+ip", "endpoint": "failures", "key": "client+ip", "rate": 10, "period": "1m", "burst": 10, "mode": "enforce"},
    {"name": "token.ip", "endpoint": "token", "key": "ip", "rate": 1000, "period": "1s", "burst": 2000, "mode": "shadow"},
    {"name": "token.client", "endpoint": "token", "key": "client", "rate": 1000, "period": "1s", "burst": 2000, "mode": "shadow"},
    {"name": "introspect.client", "endpoint": "introspect", "key": "client", "rate": 10000, "period": "1s", "burst": 20000, "mode": "shadow"},
    {"name": "revoke.client", "endpoint": "revoke", "key": "client", "rate": 500, "period": "1s", "burst": 1000, "mode": "shadow"}
]')) as defaults;

-- What each replica counted in each minute; body is all of it as JSON.
create table limit_minutes (
    minute  bigint not null, -- Unix minutes
    replica uuid   not null,
    body    json   not null,
    primary key (minute, replica)
);

-- Keys that a limit has refused: a hash of the key, and the version of the limit that was the first to refuse it.
create table limit_refused (
    name    text        not null,
    hash    uuid        not null,
    version bigint      not null,
    at      timestamptz not null, -- the last refusal that is known, to the hour
    primary key (name, hash)
);

create index limit_refused_version on limit_refused (name, version);
create index limit_refused_at on limit_refused (at);

-- body is the whole user as JSON, the password hashed. User names are compared by bytes: they come folded.
create table users (
    id       uuid             not null primary key,
    username text collate "C" not null,
    role     text             not null,
    disabled boolean          not null,
    version  bigint           not null,
    updated  timestamptz      not null,
    body     jsonb            not null
);

create unique index users_one_username on users (username);

create index audit_object on audit (object, id);
