-- A row of replicas stays after the replica has ended, until retention takes it: who looks for the alive asks for seen.

-- How long what kind is kept, where it is not the default, and what became of the last run.
create table retention (
    kind    text    not null primary key,
    keep    integer,                 -- seconds; null: the default
    version integer not null,
    ran     integer,                 -- Unix microseconds; when a run last looked at it
    removed integer not null,        -- rows that the last run took
    total   integer not null,        -- of all runs
    took    integer not null,        -- milliseconds of the last run
    fault   text    not null         -- of the last run; empty: none
) without rowid;

-- How large the file was, so that growth is known.
create table sizes (
    name  text    not null,
    at    integer not null, -- Unix seconds
    bytes integer not null,
    primary key (name, at)
) without rowid;

create index cutoffs_at on cutoffs (at);
