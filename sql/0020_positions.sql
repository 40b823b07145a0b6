-- How far the fold and the timelines are, apart from what every poll reads. While anybody's transaction is open PostgreSQL
-- keeps each version of a row that is newer than that transaction's snapshot, and whoever reads the row steps over them: a
-- row that is moved on all the time gets slower for as long as the host's longest transaction lasts. So live.fold, which
-- tells whether the summary holds here and how often it was built anew, changes with a rebuild or a prune alone; and a
-- position's key grows with each move, so that from its index's end the newest version is found first, however many are
-- behind it. Whoever moves one holds the fold's advisory lock.

-- Up to which snapshot live.order_stats is folded.
create table if not exists live.fold_position (
    turn bigint constraint fold_position_pkey primary key,
    snapshot pg_snapshot not null,
    folded_at timestamptz not null default now()
);

-- The last event that is in live.order_timeline, by (xid, id), so that a step can end within one transaction's events. All
-- that are not after it are in it.
create table if not exists live.timeline_position (
    turn bigint constraint timeline_position_pkey primary key,
    xid xid8 not null,
    id bigint not null
);

-- An instance of the version before can't fold any more, as it would move a position that nobody reads; its reads go on.
-- It reads fold.timeline_before, up to which the timelines stay complete, and with the role that may read the summary the
-- positions that belong to it.
lock table live.fold in access exclusive mode;
do $$
declare
    granted record;
begin
    if exists (select from pg_catalog.pg_attribute
               where attrelid = 'live.fold'::regclass and attname = 'snapshot' and not attisdropped) then
        insert into live.fold_position (turn, snapshot, folded_at) select 1, f.snapshot, f.folded_at from live.fold f;
        insert into live.timeline_position (turn, xid, id) select 1, f.timeline_before, 0 from live.fold f;
        alter table live.fold drop column snapshot, drop column folded_at;
        for granted in
            select distinct a.privilege_type as privilege, a.grantee::pg_catalog.regrole as role
            from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
            where c.oid = 'live.order_stats'::regclass and a.grantee not in (0, c.relowner)
        loop
            execute format('grant %s on live.fold_position, live.timeline_position to %s', granted.privilege, granted.role);
        end loop;
    end if;
end
$$;
insert into live.timeline_position (turn, xid, id)
    select 1, '0', 0 where not exists (select from live.timeline_position);

-- The server's system identifier. Asking for it reads a file, and it can't change while a connection lasts: whoever restores
-- or replaces the server ends the connections.
create or replace function live.system_identifier() returns bigint
language plpgsql stable as $$
declare
    known text := current_setting('oncare_live.system_identifier', true);
begin
    if known <> '' then
        return known;
    end if;
    return set_config('oncare_live.system_identifier', (pg_control_system()).system_identifier::text, false);
end
$$;

-- The snapshot of the fold, or null where there is none that holds here.
create or replace function live.folded() returns pg_snapshot
language plpgsql stable set enable_seqscan = off as $$
begin
    return (
        select p.snapshot from live.fold_position p
        where exists (select from live.fold f where f.system_identifier = live.system_identifier())
        order by p.turn desc limit 1
    );
end
$$;
