-- Limits of pushed requests, which are kept until they expire, and which anybody can push as a public client.
insert into limits (name, body)
select value->>'name', json_set(value, '$.version', 1, '$.created', at, '$.updated', at)
from (select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as at), json_each('[
    {"name": "par.ip", "endpoint": "par", "key": "ip", "rate": 60, "period": "1m", "burst": 120, "mode": "enforce"},
    {"name": "par.client", "endpoint": "par", "key": "client", "rate": 100, "period": "1s", "burst": 200, "mode": "shadow"}
]')
where true
on conflict (name) do nothing;
