-- body is how the replica is, as it says itself, as JSON. A row stays after the replica has ended, until retention takes
-- it: who looks for the alive asks for seen.
alter table replicas add column body jsonb not null default '{}';

-- How long what kind is kept, where it is not the default, and what became of the last run.
create table retention (
    kind    text        not null primary key,
    keep    bigint,                  -- seconds; null: the default
    version bigint      not null,
    ran     timestamptz,             -- when a run last looked at it
    removed bigint      not null,    -- rows or partitions that the last run took
    total   bigint      not null,    -- of all runs
    took    bigint      not null,    -- milliseconds of the last run
    fault   text        not null     -- of the last run; empty: none
);

-- How large tables were, so that growth is known. bytes is with indexes and partitions.
create table sizes (
    name  text        not null,
    at    timestamptz not null,
    bytes bigint      not null,
    primary key (name, at)
);

-- Cut-offs are few; building this makes those who cut off wait for a moment, and nobody else.
create index cutoffs_at on cutoffs (at);
