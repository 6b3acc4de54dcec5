-- Where a client may act for the user, beside this server itself. Older consents say nothing of it: a request that
-- names such a place asks once more.
alter table consents add column audiences text[] not null default '{}';

-- Limits of pushed requests, which are kept until they expire, and which anybody can push as a public client.
insert into limits (name, mode, version, updated, body)
select body->>'name', body->>'mode', 1, at, body || jsonb_build_object('version', 1, 'created', at, 'updated', at)
from (select now() as at, value as body from jsonb_array_elements('[
    {"name": "par.ip", "endpoint": "par", "key": "ip", "rate": 60, "period": "1m", "burst": 120, "mode": "enforce"},
    {"name": "par.client", "endpoint": "par", "key": "client", "rate": 100, "period": "1s", "burst": 200, "mode": "shadow"}
]')) as defaults
on conflict (name) do nothing;
