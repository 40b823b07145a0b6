-- Which version of events the triggers write. A program serves as long as that is one that it reads; what it does with events of a
-- later one is in docs/PROTOCOL.md. A version whose triggers write others replaces this file by one of the next free number.
create or replace function live.event_version() returns integer
language sql immutable as $$
    select 1
$$;
