-- The schema of version 1, as its migrations left it on a database with the OnCare tables. It is never changed.
create schema live;
create table live.migration (
    version integer constraint migration_pkey primary key,
    name text not null,
    applied_at timestamptz not null default now()
);
insert into live.migration (version, name) values
    (1, 'oncare_tables'),
    (2, 'live_tables'),
    (6, 'leaner_events'),
    (10, 'order_timeline'),
    (20, 'positions'),
    (23, 'fold_database'),
    (25, 'unreadable'),
    (28, 'fold_recording'),
    (30, 'live_functions'),
    (33, 'triggers'),
    (34, 'no_role'),
    (14, 'viewing'),
    (16, 'saved_view'),
    (17, 'accounts'),
    (18, 'arrival'),
    (22, 'tidied'),
    (32, 'sign_in'),
    (9, 'list_index');
-- Everything the service owns: the events that triggers record, the statistics folded from them, and the sessions.
-- The host's tables are not touched here; `drop schema live cascade` takes all of it away again, triggers included.

-- One row per changed order and statement. At once outbox, replay log, delta of the statistics and audit trail.
-- `id` is in the order of writing, never of commit: no reader may use it as a cursor (see live.events_since).
-- Old values are null for an insert, new ones for a delete; an 'items' event has only the sales reps.
-- Texts and amounts are unbounded so that a wider column in the host can never make recording fail.
create table live.order_event (
    id bigint generated always as identity constraint order_event_pkey primary key,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp(),
    operation text not null constraint order_event_operation_check
        check (operation in ('insert', 'update', 'delete', 'items', 'truncate', 'truncate_items')),
    order_id bigint,
    order_number text,
    old_sales_rep_id bigint,
    new_sales_rep_id bigint,
    old_status text,
    new_status text,
    old_payment_status text,
    new_payment_status text,
    old_total numeric,
    new_total numeric,
    items_delta integer,
    -- other columns that the list shows, where they changed: {"customer_name": ["old", "new"]}
    other jsonb,
    app_user text default nullif(current_setting('app.user', true), ''),
    application text default nullif(current_setting('application_name', true), ''),
    database_role text not null default session_user
);

-- A transaction has few events, but one import may have them all when the table is analysed: the planner must not come
-- to think that looking a transaction up means reading the table.
alter table live.order_event alter column xid set (n_distinct = -0.5);

create index order_event_xid_idx on live.order_event (xid);
create index order_event_truncate_xid_idx on live.order_event (xid) where operation = 'truncate';
create index order_event_order_id_idx on live.order_event (order_id, id);
create index order_event_at_idx on live.order_event (at);

-- The statistics as far as they are folded, and the snapshot up to which that is. Only the fold writes them.
create table live.order_stats (
    sales_rep_id bigint,
    status text not null,
    payment_status text not null,
    orders bigint not null,
    amount numeric not null,
    constraint order_stats_key unique (sales_rep_id, status, payment_status)
);
create unique index order_stats_unassigned_key on live.order_stats (status, payment_status) where sales_rep_id is null;

create table live.fold (
    singleton boolean not null default true constraint fold_pkey primary key constraint fold_singleton_check check (singleton),
    -- transaction ids mean nothing in another cluster: a restored dump voids the fold
    system_identifier bigint not null,
    snapshot pg_snapshot not null,
    folded_at timestamptz not null default now(),
    -- the newest transaction of which events were pruned: an older cursor can't be resumed
    pruned_xid xid8 not null default '0'
);

-- Emptied by crash recovery, as it is unlogged, and not replicated: its token tells a server that may hand out a
-- transaction id a second time from the one that handed it out first, even where the postmaster survived.
create unlogged table live.incarnation (
    singleton boolean not null default true constraint incarnation_pkey primary key
        constraint incarnation_singleton_check check (singleton),
    token uuid not null default gen_random_uuid()
);

-- Who is signed in. Only a hash of the token is here; the password's digest ends a session when the password changes.
create table live.session (
    token_hash bytea constraint session_pkey primary key,
    user_id bigint not null,
    password_digest bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index session_expires_at_idx on live.session (expires_at);
-- What every writer of an order pays for, no more than it must be. One index serves as key and for looking transactions
-- up, so that the events of one transaction are read in the order of their writing. Old events are found by their
-- transaction, so that their time needs no index; truncations are noted apart, so that they need none either. Nobody but
-- the triggers writes events, so that their operation needs no check.

create table if not exists live.truncation (
    event_id bigint constraint truncation_pkey primary key,
    xid xid8 not null default pg_current_xact_id()
);
insert into live.truncation (event_id, xid)
    select id, xid from live.order_event where operation = 'truncate' on conflict do nothing;

alter table live.order_event drop constraint if exists order_event_operation_check;
drop index if exists live.order_event_at_idx, live.order_event_truncate_xid_idx, live.order_event_xid_idx;
do $$
begin
    if not exists (select from pg_constraint
                   where conname = 'order_event_pkey' and conrelid = 'live.order_event'::regclass and cardinality(conkey) = 2) then
        alter table live.order_event
            drop constraint order_event_pkey, add constraint order_event_pkey primary key (xid, id);
    end if;
end
$$;

-- A rebuilt summary begins a new epoch, so that nothing derived from the old one is carried on; this counts them.
alter table live.fold add column if not exists rebuilds bigint not null default 0;
-- An index that every writer of an order had to keep, for a page that is opened now and then, gives way to a table that the
-- service fills when there is time. Whoever wants the events of one order adds those that are not in it yet: see
-- live.events_of.

create table if not exists live.order_timeline (
    order_id bigint,
    xid xid8,
    id bigint,
    constraint order_timeline_pkey primary key (order_id, xid, id)
);
-- The events of older transactions than this one are in it.
alter table live.fold add column if not exists timeline_before xid8 not null default '0';
drop index if exists live.order_event_order_id_idx;

-- A fold changes many sums by a little: with room on their pages it needs no new index entries for them.
alter table live.order_stats set (fillfactor = 50);
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
-- A fold is of one database: where its rows were restored into another beside it, in the same cluster, the orders that came with
-- them may have been recorded as new ones there.
do $$
begin
    if not exists (select from pg_attribute
                   where attrelid = 'live.fold'::regclass and attname = 'database_oid' and not attisdropped) then
        alter table live.fold add column database_oid oid not null default 0;
        update live.fold set database_oid = (select d.oid from pg_database d where d.datname = current_database());
    end if;
end
$$;
-- Changes that a trigger could not read, as the host had altered what it reads: which transactions made them, and what the first
-- of each ran into. As long as any is here, no statistics are folded, and all are counted from the orders. Whoever builds
-- the statistics anew takes away those that it has seen.
create table if not exists live.unreadable (
    xid xid8 default pg_current_xact_id() constraint unreadable_pkey primary key,
    at timestamptz not null default clock_timestamp(),
    reason text not null
);

-- Who may read and delete truncations does the same with these.
do $$
declare
    granted record;
begin
    for granted in
        select distinct a.privilege_type as privilege, a.grantee::pg_catalog.regrole as role
        from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
        where c.oid = 'live.truncation'::regclass and a.grantee not in (0, c.relowner)
    loop
        execute format('grant %s on live.unreadable to %s', granted.privilege, granted.role);
    end loop;
end
$$;
-- What recorded the changes when the statistics were built anew: the triggers, and what they read. Where that is another now, it
-- may have recorded nothing in between, as when somebody switched a trigger off and on again while nobody looked.
alter table live.fold add column if not exists recording jsonb;
-- What is read from the service's tables. Run again, it puts back what somebody changed.

-- The primitive behind tail, fold and resume: the events that are committed now and were not visible in `since`,
-- each exactly once. It must stay a plain SQL function without settings, so that it is inlined into its caller's plan
-- and reads nothing but the index.
create or replace function live.events_since(since pg_snapshot) returns setof live.order_event
language sql stable as $$
    select * from live.order_event where xid >= pg_snapshot_xmax(since)
    union all
    select * from live.order_event where xid = any (array(select pg_snapshot_xip(since)))
$$;

-- What the events since a snapshot add to the number and amount of orders by sales rep, status and payment status.
-- TRUNCATE holds an exclusive lock until it commits, so that ids do tell what came before it from what came after. What is
-- no amount of an order, as NaN, an infinity, or more than can be summed and shown, counts as nothing; so does an order
-- without a status.
create or replace function live.deltas_since(since pg_snapshot)
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language sql stable as $$
    select d.sales_rep_id, d.status, d.payment_status, d.orders, d.amount
    from live.events_since(since) e
    cross join (select max(t.event_id) as id from live.truncation t where not pg_visible_in_snapshot(t.xid, since)) cut
    cross join lateral (values
        (e.old_sales_rep_id, e.old_status, e.old_payment_status, -1::bigint,
         case when e.old_total > -1e15 and e.old_total < 1e15 then -e.old_total else 0 end),
        (e.new_sales_rep_id, e.new_status, e.new_payment_status, 1::bigint,
         case when e.new_total > -1e15 and e.new_total < 1e15 then e.new_total else 0 end)
    ) d (sales_rep_id, status, payment_status, orders, amount)
    where d.status is not null and d.payment_status is not null and (cut.id is null or e.id > cut.id)
$$;

-- The events of one order: the older ones by live.order_timeline, and among the newer ones those of this order. Inlined.
create or replace function live.events_of(the_order bigint) returns setof live.order_event
language sql stable as $$
    select e.*
    from live.order_timeline t join live.order_event e on e.xid = t.xid and e.id = t.id
    where t.order_id = the_order and (t.xid, t.id) <= (
        coalesce((select p.xid from live.timeline_position p order by p.turn desc limit 1), '0'),
        coalesce((select p.id from live.timeline_position p order by p.turn desc limit 1), 0))
    union all
    select e.* from live.order_event e
    where e.order_id = the_order and (e.xid, e.id) > (
        coalesce((select p.xid from live.timeline_position p order by p.turn desc limit 1), '0'),
        coalesce((select p.id from live.timeline_position p order by p.turn desc limit 1), 0))
$$;

-- The login of the user who made a change of an order's status or payment status, as the application that made it wrote it to its
-- history: in the transaction of the change, or within five seconds of it, and then only if no other event that the history could
-- be of is nearer. Null where it wrote nothing, or where the history is not what it was: then nobody is named, and nothing else
-- fails. `tests/cases/whom.json` has the cases; the order's page pairs what it shows by the same rule (src/order/timeline.rs).
create or replace function live.person_of(
    the_event bigint, the_order bigint, the_xid xid8, the_time timestamptz,
    was text, became text, was_paid text, became_paid text
) returns text
language plpgsql stable as $$
declare
    written record;
begin
    select u.username::text as login, h.changed_at::timestamptz as at, h.xmin <> the_xid::xid as is_elsewhere into written
    from public.orders_orderstatushistory h join public.accounts_user u on u.id = h.changed_by_id
    where h.order_id = the_order and h.old_status = was and h.new_status = became
        and h.old_payment_status = was_paid and h.new_payment_status = became_paid
        and h.changed_at > the_time - interval '1 day' and h.changed_at < the_time + interval '1 day'
        and (h.xmin = the_xid::xid
            or h.changed_at > the_time - interval '5 seconds' and h.changed_at < the_time + interval '5 seconds')
    order by is_elsewhere, abs(extract(epoch from h.changed_at - the_time)), h.id
    limit 1;
    if written.is_elsewhere and exists (
        select from live.events_of(the_order) e
        where e.operation = 'update' and e.id <> the_event and e.old_status = was and e.new_status = became
            and e.old_payment_status = was_paid and e.new_payment_status = became_paid
            and abs(extract(epoch from e.at - written.at)) < abs(extract(epoch from the_time - written.at))
    ) then
        return null;
    end if;
    return written.login;
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error
        or statement_too_complex or object_in_use or lock_not_available then
        raise;
    when others then
        return null;
end
$$;

-- The plain aggregate that the statistics must always equal. It is a function and no view, because a view would keep the
-- host from altering its columns.
create or replace function live.aggregate()
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language sql stable as $$
    select o.sales_rep_id, o.status, o.payment_status, count(*),
        coalesce(sum(o.total_amount::numeric) filter (where o.total_amount > -1e15 and o.total_amount < 1e15), 0)
    from public.orders_order o
    where o.status is not null and o.payment_status is not null
    group by o.sales_rep_id, o.status, o.payment_status
$$;

-- The snapshot of the fold, or null where there is none that holds here: nor does it where a change could not be read.
create or replace function live.folded() returns pg_snapshot
language plpgsql stable set enable_seqscan = off as $$
begin
    return (
        select p.snapshot from live.fold_position p
        where exists (
            select from live.fold f
            where f.system_identifier = live.system_identifier()
              and f.database_oid = (select d.oid from pg_database d where d.datname = current_database())
        )
            and not exists (select from live.unreadable)
        order by p.turn desc limit 1
    );
end
$$;

-- What the statistics are summed from: what is folded, unless a truncation since then voids it, and the events since.
-- Inlined into its callers, whose condition on the rep reaches the index.
create or replace function live.parts(since pg_snapshot)
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language sql stable as $$
    select s.sales_rep_id, s.status, s.payment_status, s.orders, s.amount
    from live.order_stats s
    where not exists (select from live.truncation t where not pg_visible_in_snapshot(t.xid, since))
    union all
    select d.sales_rep_id, d.status, d.payment_status, d.orders, d.amount
    from live.deltas_since(since) d
$$;

-- Number and amount of the given reps' orders by status and payment status: what is folded plus the events since,
-- in the caller's snapshot. Without a valid fold it is the plain aggregate: slower, never wrong.
create or replace function live.statistics(reps bigint[])
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    since pg_snapshot := live.folded();
begin
    if since is null then
        return query
            select a.sales_rep_id, a.status, a.payment_status, a.orders, a.amount
            from live.aggregate() a where a.sales_rep_id = any (reps);
        return;
    end if;
    return query
        select p.sales_rep_id, p.status, p.payment_status, sum(p.orders)::bigint, sum(p.amount)
        from live.parts(since) p
        where p.sales_rep_id = any (reps)
        group by p.sales_rep_id, p.status, p.payment_status
        having sum(p.orders) <> 0 or sum(p.amount) <> 0;
end
$$;

-- The same for every order, those without a rep included.
create or replace function live.all_statistics()
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language plpgsql stable as $$
#variable_conflict use_column
declare
    since pg_snapshot := live.folded();
begin
    if since is null then
        return query select a.sales_rep_id, a.status, a.payment_status, a.orders, a.amount from live.aggregate() a;
        return;
    end if;
    return query
        select p.sales_rep_id, p.status, p.payment_status, sum(p.orders)::bigint, sum(p.amount)
        from live.parts(since) p
        group by p.sales_rep_id, p.status, p.payment_status
        having sum(p.orders) <> 0 or sum(p.amount) <> 0;
end
$$;

-- The same in sum, whoever has the orders: as many rows as there are pairs of statuses. It reads every sum that is folded.
create or replace function live.total_statistics()
returns table (status text, payment_status text, orders bigint, amount numeric)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = on set jit = off as $$
#variable_conflict use_column
declare
    since pg_snapshot := live.folded();
begin
    if since is null then
        return query
            select a.status, a.payment_status, sum(a.orders)::bigint, sum(a.amount)
            from live.aggregate() a group by a.status, a.payment_status;
        return;
    end if;
    return query
        select p.status, p.payment_status, sum(p.orders)::bigint, sum(p.amount)
        from live.parts(since) p
        group by p.status, p.payment_status
        having sum(p.orders) <> 0 or sum(p.amount) <> 0;
end
$$;

-- The part of the epoch that can't change while a connection lasts: whoever restarts, replaces or promotes the server, or
-- restores the database anew, ends the connections. Asked once for each. Null while the incarnation has no token yet.
create or replace function live.server_life() returns text
language sql stable as $$
    select (select system_identifier from pg_control_system())
        || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
        || '/' || extract(epoch from pg_postmaster_start_time())
        || '/' || (select oid from pg_database where datname = current_database())
        || '/' || (select token from live.incarnation)
$$;
-- The triggers that record what changed and wake a listener that sleeps. PostgreSQL sends equal payloads of one transaction
-- once, so that a transaction sends at most two, however much it changes: `745`, and `745 crowded`, where another transaction
-- that had notified was still open at one of its rows. The functions are `security definer`, so that a writer needs no right on schema live, and touch
-- nothing that another writer could hold a lock on. Run again, this file puts back what somebody took away.

-- Whether a listener sleeps, so that it must be notified. Two advisory locks say so.
--
-- The *sleep lock* ("oncawake" in ASCII) is held exclusively by a sleeping listener. A writer that gets it, shared, knows that
-- nobody sleeps, need not notify, and keeps it until its transaction ends. So a listener can fall asleep only when all
-- transactions that did not notify have ended; then it reads once more. A savepoint that is rolled back takes its event and its
-- lock along. Notifying costs a lock on the whole cluster until the commit is on disk, which ends group commit; this costs no wait.
--
-- The *lease* ("onca" and the number of the present five seconds) proves that the sleeper is alive: it renews it. A sleeper whose
-- machine died keeps its sleep lock for as long as the server believes in its connection, and a stranger may hold it for ever. A
-- writer that finds the sleep lock taken but the lease free does not notify, and holds the lease itself, so that nobody can fall
-- asleep over its change. (A transaction that outlasts these five seconds, and then the stranger's lock, is found by the
-- listener's periodic read; one that writes for hours beside a stranger's lock holds a lease for each five seconds.)
create or replace function live.listener_sleeps() returns boolean
language sql volatile as $$
    select case
        when pg_try_advisory_xact_lock_shared(8029464455914023781) then false
        else not pg_try_advisory_xact_lock_shared(1869505377, floor(date_part('epoch', clock_timestamp()) / 5)::integer)
    end
$$;

-- Wakes the listeners. The payload is the transaction, by which they know that it was notified, and that another one, which
-- had notified as well, was still open: such transactions wait for each other's flush, so the listener had better be awake. The
-- key is "oncanote". Nothing about an order leaves by this door. A full queue, which any listening session that is stuck in a
-- transaction can cause, would make the writer's commit fail: from half full on nobody is notified, and the listener finds the
-- change when it reads without being told to, every three seconds.
create or replace function live.notify() returns void
language sql volatile as $$
    select pg_notify('live_orders', pg_current_xact_id()::text
        || case when pg_try_advisory_xact_lock(8029464455763948645) then '' else ' crowded' end)
    where pg_notification_queue_usage() < 0.5
$$;

-- **A trigger can't fail the host's write.** What it reads may be renamed, dropped or altered at any time. So each function first
-- reads all of it in a block that catches what fails, and only then writes, outside the block: the same values by the same
-- casts, which can't fail any more. The block writes nothing, so that its subtransaction takes no id: one in which an event is
-- written would take one for each row, and from the 65th on every snapshot in the cluster would cost more.
--
-- In the block stand: each value that the INSERT takes, by the casts that it takes them by, within num_nulls(), which
-- evaluates all of its arguments; and live.must_take_events() with our own table as a constant, so that the block fails where the
-- table is gone or can't take the event.

-- Some errors are not of what was read but of the host's transaction, which has to know of them: it can't be serialized, is in a
-- deadlock, lacks memory, disk or stack, gets no lock, is ended. (OTHERS leaves out a statement that is cancelled.) Each function
-- raises those again, and names them itself: a handler that needs anything of schema live could fail where somebody took away
-- the schema from its owner. Then nothing can be noted either, and the service finds that out when it looks.

-- Notes that a change could not be read. Until somebody has read all orders anew, statistics are counted from the orders. What
-- is wrong with our own tables fails nothing either. A transaction leaves one note, however much it changes. It stays where the
-- event that tells of it at once can't be written: then it is found later.
create or replace function live.note_unreadable(what_failed text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into live.unreadable (reason) values (what_failed) on conflict do nothing;
    if found then
        begin
            insert into live.order_event (operation) values ('unreadable');
            if live.listener_sleeps() then
                perform live.notify();
            end if;
        exception
            when transaction_rollback or insufficient_resources or operator_intervention or system_error
                or statement_too_complex or object_in_use or lock_not_available then
                raise;
            when others then
        end;
    end if;
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error
        or statement_too_complex or object_in_use or lock_not_available then
        raise;
    when others then
end
$$;

-- True, or fails where an INSERT of these functions into our own table would fail the host's write: somebody took away the right
-- to it, a column, a default or the end of its numbers, or added what rows have to keep to. It stands in each block with the
-- table and its sequence as constants and says that it is immutable, so that PostgreSQL asks it when it plans and not for each row,
-- and once more after one of them was altered. What others hang on that table that may fail, a trigger or an index on an
-- expression, is theirs.
create or replace function live.must_take_events(events regclass, numbers regclass) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    writer oid := (select p.proowner from pg_proc p where p.oid = 'live.record_update()'::regprocedure);
    obstacle text := coalesce(
        (select format('%I may not insert into it', pg_get_userbyid(writer))
         where not has_schema_privilege(writer, 'live', 'usage') or not has_table_privilege(writer, events, 'insert')),
        (select format('it lacks a column %s of type %s that takes any value', needed.name, needed.type)
         from (values ('operation', 'text'), ('order_id', 'bigint'), ('order_number', 'text'), ('old_sales_rep_id', 'bigint'),
             ('new_sales_rep_id', 'bigint'), ('old_status', 'text'), ('new_status', 'text'), ('old_payment_status', 'text'),
             ('new_payment_status', 'text'), ('old_total', 'numeric'), ('new_total', 'numeric'), ('items_delta', 'integer'),
             ('other', 'jsonb')) needed (name, type)
         where not exists (
             select from pg_attribute a
             where a.attrelid = events and a.attname = needed.name and not a.attisdropped
                 and a.atttypid = to_regtype(needed.type) and a.atttypmod = -1 and a.attgenerated = '' and a.attidentity = ''
                 and (not a.attnotnull or a.attname = 'operation'))
         limit 1),
        (select format('its column %I has no default', a.attname)
         from pg_attribute a
         where a.attrelid = events and a.attnum > 0 and not a.attisdropped and a.attname <> 'operation'
             and a.attnotnull and not a.atthasdef and a.attidentity = ''
         limit 1),
        (select format('it has the constraint %I', c.conname)
         from pg_constraint c
         where c.conrelid = events and c.contype not in ('p', 'n')
         limit 1),
        (select format('it has the unique index %s', i.indexrelid::regclass)
         from pg_index i where i.indrelid = events and i.indisunique and not i.indisprimary limit 1),
        (select 'row-level security is on for it'
         from pg_class c
         where c.oid = events and c.relrowsecurity and (c.relforcerowsecurity or c.relowner <> writer)),
        (select format('its numbers end at %s', s.seqmax)
         from pg_sequence s
         where s.seqrelid = numbers and s.seqmax < 9223372036854775807)
    );
begin
    if obstacle is not null then
        raise exception 'no event can be written to %: %', events, obstacle;
    end if;
    return true;
end
$$;

-- Orders are recorded row by row when they are inserted or updated: matching the rows of a statement before and after would
-- cost each single-row statement more than a large one gains by it. It is told here and not by a condition of the trigger what
-- is recorded, as that would keep the host from altering the columns in it.
--
-- A session keeps the plans of these statements, which are made for columns of certain types. Each names the host's table, as
-- a constant that costs nothing, so that PostgreSQL makes it anew after the table was altered: a session that was open when
-- the host widened a column could not write any more.
create or replace function live.record_insert() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    begin
        if num_nulls(new.id::bigint, new.order_number::text, new.sales_rep_id::bigint, new.status::text,
                new.payment_status::text, new.total_amount::numeric) is not null
            and 'public.orders_order'::regclass is not null and live.must_take_events('live.order_event', 'live.order_event_id_seq')
            and live.listener_sleeps()
        then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            begin
                perform live.note_unreadable(sqlerrm);
            exception when syntax_error_or_access_rule_violation then
            end;
            return null;
    end;
    insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
    values (coalesce('insert', 'public.orders_order'::regclass::text), new.id::bigint, new.order_number::text,
        new.sales_rep_id::bigint, new.status::text, new.payment_status::text, new.total_amount::numeric);
    return null;
end
$$;

-- The order of which a transaction last recorded here that it changed where it stands is kept, for as long as the transaction lasts,
-- in the setting oncare_live.standing_changed, for live.record_history: a savepoint that is rolled back takes it along with the event.
--
-- Most updates that are recorded change no text of the order. They take the first way, as PL/pgSQL prepares each
-- expression that a transaction comes to anew, at a cost that sixteen writers feel; hence also a plain INSERT whose values
-- need no computing. A changed primary key is the end of one order and the beginning of another, whatever the statement
-- calls it.
create or replace function live.record_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    is_another boolean;
    others jsonb;
begin
    <<not_the_first_way>>
    begin
        begin
            if num_nulls(old.id::bigint, new.id::bigint, old.order_number::text, new.order_number::text,
                    old.sales_rep_id::bigint, new.sales_rep_id::bigint, old.status::text, new.status::text,
                    old.payment_status::text, new.payment_status::text, old.total_amount::numeric,
                    new.total_amount::numeric) is not null
                and (old.status::text <> new.status::text or old.payment_status::text <> new.payment_status::text
                    or old.total_amount::numeric <> new.total_amount::numeric
                    or old.sales_rep_id::bigint <> new.sales_rep_id::bigint)
                and old.id::bigint = new.id::bigint and old.order_number::text = new.order_number::text
                and old.customer_name::text = new.customer_name::text
                and old.created_at::timestamptz = new.created_at::timestamptz
                and 'public.orders_order'::regclass is not null and live.must_take_events('live.order_event', 'live.order_event_id_seq')
                and ((old.status::text <> new.status::text or old.payment_status::text <> new.payment_status::text) is not true
                    or set_config('oncare_live.standing_changed', new.id::bigint::text, true) is not null)
            then
                if live.listener_sleeps() then
                    perform live.notify();
                end if;
                exit not_the_first_way;
            end if;
            is_another := old.id::bigint <> new.id::bigint and 'public.orders_order'::regclass is not null;
            if not is_another then
                if old.status::text = new.status::text
                    and old.payment_status::text = new.payment_status::text
                    and old.total_amount::numeric = new.total_amount::numeric
                    and old.sales_rep_id::bigint is not distinct from new.sales_rep_id::bigint
                    and old.order_number::text = new.order_number::text
                    and old.customer_name::text = new.customer_name::text
                    and old.created_at::timestamptz = new.created_at::timestamptz
                    and 'public.orders_order'::regclass is not null
                then
                    return null;
                end if;
                others := case when 'public.orders_order'::regclass is not null then
                    live.other_changes(old.order_number::text, new.order_number::text, old.customer_name::text,
                        new.customer_name::text, old.created_at::timestamptz, new.created_at::timestamptz) end;
            end if;
            if live.listener_sleeps() then
                perform live.notify();
            end if;
        exception
            when transaction_rollback or insufficient_resources or operator_intervention or system_error
                or statement_too_complex or object_in_use or lock_not_available then
                raise;
            when others then
                begin
                    perform live.note_unreadable(sqlerrm);
                exception when syntax_error_or_access_rule_violation then
                end;
                return null;
        end;
        if is_another then
            insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
            values (coalesce('delete', 'public.orders_order'::regclass::text), old.id::bigint, old.order_number::text,
                old.sales_rep_id::bigint, old.status::text, old.payment_status::text, old.total_amount::numeric);
            insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
            values (coalesce('insert', 'public.orders_order'::regclass::text), new.id::bigint, new.order_number::text,
                new.sales_rep_id::bigint, new.status::text, new.payment_status::text, new.total_amount::numeric);
        else
            insert into live.order_event (
                operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
                old_payment_status, new_payment_status, old_total, new_total, other
            )
            values (coalesce('update', 'public.orders_order'::regclass::text), new.id::bigint, old.order_number::text,
                old.sales_rep_id::bigint, new.sales_rep_id::bigint, old.status::text, new.status::text,
                old.payment_status::text, new.payment_status::text, old.total_amount::numeric, new.total_amount::numeric,
                others);
        end if;
        return null;
    end;
    insert into live.order_event (
        operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
        old_payment_status, new_payment_status, old_total, new_total
    )
    values (coalesce('update', 'public.orders_order'::regclass::text), new.id::bigint, old.order_number::text,
        old.sales_rep_id::bigint, new.sales_rep_id::bigint, old.status::text, new.status::text, old.payment_status::text,
        new.payment_status::text, old.total_amount::numeric, new.total_amount::numeric);
    return null;
end
$$;

-- Changes of the other columns that the list shows, or null: {"customer_name": ["old", "new"]}. Times are told in UTC.
create or replace function live.other_changes(
    old_number text, new_number text, old_customer text, new_customer text, old_created timestamptz, new_created timestamptz
) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp set time zone 'UTC' as $$
begin
    return nullif(jsonb_strip_nulls(jsonb_build_object(
        'order_number', case when old_number <> new_number then jsonb_build_array(old_number, new_number) end,
        'customer_name', case when old_customer <> new_customer then jsonb_build_array(old_customer, new_customer) end,
        'created_at', case when old_created <> new_created then jsonb_build_array(old_created, new_created) end)), '{}');
end
$$;

create or replace function live.record_delete() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    begin
        perform count(num_nulls(o.id::bigint, o.order_number::text, o.sales_rep_id::bigint, o.status::text,
            o.payment_status::text, o.total_amount::numeric))
        from old_rows o
        where live.must_take_events('live.order_event', 'live.order_event_id_seq')
        having count(*) > 0;
        if not found then
            return null;
        end if;
        if live.listener_sleeps() then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            begin
                perform live.note_unreadable(sqlerrm);
            exception when syntax_error_or_access_rule_violation then
            end;
            return null;
    end;
    insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
    select 'delete', o.id::bigint, o.order_number::text, o.sales_rep_id::bigint, o.status::text, o.payment_status::text,
        o.total_amount::numeric
    from old_rows o;
    return null;
end
$$;

-- It reads nothing of the host's, and is rare: it may write where it catches.
create or replace function live.record_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    with recorded as (
        insert into live.order_event (operation) values (tg_argv[0]) returning id
    )
    insert into live.truncation (event_id) select id from recorded where tg_argv[0] = 'truncate';
    if live.listener_sleeps() then
        perform live.notify();
    end if;
    return null;
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error
        or statement_too_complex or object_in_use or lock_not_available then
        raise;
    when others then
        begin
            perform live.note_unreadable(sqlerrm);
        exception when syntax_error_or_access_rule_violation then
        end;
        return null;
end
$$;

-- The number of items is shown with an order, so that a statement that changes it changes the order.
create or replace function live.record_items() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    changed bigint[];
    changes integer[];
    orders bigint[];
    numbers text[];
    reps bigint[];
    deltas integer[];
begin
    begin
        if tg_op = 'INSERT' then
            select array_agg(c.id), array_agg(c.items) into changed, changes
            from (select order_id::bigint as id, count(*)::integer as items from new_rows group by order_id) c;
        elsif tg_op = 'DELETE' then
            select array_agg(c.id), array_agg(c.items) into changed, changes
            from (select order_id::bigint as id, -count(*)::integer as items from old_rows group by order_id) c;
        else
            select array_agg(c.id), array_agg(c.items) into changed, changes
            from (
                select i.order_id::bigint as id, sum(i.items)::integer as items
                from (select order_id, 1 as items from new_rows union all select order_id, -1 from old_rows) i
                group by i.order_id
                having sum(i.items) <> 0
            ) c;
        end if;
        if changed is null then
            return null;
        end if;
        select array_agg(o.id::bigint), array_agg(o.order_number::text), array_agg(o.sales_rep_id::bigint), array_agg(c.items)
        into orders, numbers, reps, deltas
        from unnest(changed, changes) c (id, items)
        cross join lateral (select * from public.orders_order o where o.id = c.id limit 1) o;
        if orders is null then
            return null;
        end if;
        -- by itself: beside arrays it would be planned, and asked, for each statement
        if live.must_take_events('live.order_event', 'live.order_event_id_seq') and live.listener_sleeps() then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            begin
                perform live.note_unreadable(sqlerrm);
            exception when syntax_error_or_access_rule_violation then
            end;
            return null;
    end;
    insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, items_delta)
    select 'items', c.id, c.number, c.rep, c.rep, c.delta from unnest(orders, numbers, reps, deltas) c (id, number, rep, delta);
    return null;
end
$$;

-- An application that keeps a history of its orders writes there who changed one, a moment after the change and often in another
-- transaction. What is recorded is only that it did: who it was is read from the history (live.person_of). A transaction that names its
-- user has said so already; one that has just changed where the order stands is read as a whole, with its history; and what is
-- entered of older days names nobody who is waited for. Where the history is not what it was, nobody is named: no change goes
-- unrecorded by that.
create or replace function live.record_history() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    begin
        if current_setting('app.user', true) <> ''
            or current_setting('oncare_live.standing_changed', true) = new.order_id::bigint::text
            or new.order_id::bigint is null or new.changed_at::timestamptz < now() - interval '1 day'
            or 'public.orders_orderstatushistory'::regclass is null
        then
            return null;
        end if;
        if live.must_take_events('live.order_event', 'live.order_event_id_seq') and live.listener_sleeps() then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            return null;
    end;
    insert into live.order_event (operation, order_id)
    values (coalesce('history', 'public.orders_orderstatushistory'::regclass::text), new.order_id::bigint);
    return null;
end
$$;

-- of earlier versions
drop function if exists live.is_of_the_transaction(text);
drop function if exists live.notify(text);
drop function if exists live.notify(bigint[]);

-- All of ours, whatever they were called.
do $$
declare
    ours record;
begin
    for ours in
        select t.tgname as name, t.tgrelid::pg_catalog.regclass as relation
        from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
        where t.tgrelid in ('public.orders_order'::pg_catalog.regclass, 'public.orders_orderitem'::pg_catalog.regclass,
                pg_catalog.to_regclass('public.orders_orderstatushistory'))
            and p.pronamespace = 'live'::pg_catalog.regnamespace and not t.tgisinternal
    loop
        execute pg_catalog.format('drop trigger %I on %s', ours.name, ours.relation);
    end loop;
end
$$;

-- Triggers fire in the order of their names. Those that begin with a mark are before the host's, one of which may change the order
-- once more, or fill a table that was emptied: what it does then is recorded after what caused it, and the events' ids tell the
-- order of changes.
create trigger "!live_insert" after insert on public.orders_order
    for each row execute function live.record_insert();
create trigger "!live_update" after update on public.orders_order
    for each row execute function live.record_update();
create trigger live_delete after delete on public.orders_order
    referencing old table as old_rows for each statement execute function live.record_delete();
create trigger "!live_truncate" after truncate on public.orders_order
    for each statement execute function live.record_truncate('truncate');

create trigger live_insert after insert on public.orders_orderitem
    referencing new table as new_rows for each statement execute function live.record_items();
create trigger live_update after update on public.orders_orderitem
    referencing old table as old_rows new table as new_rows for each statement execute function live.record_items();
create trigger live_delete after delete on public.orders_orderitem
    referencing old table as old_rows for each statement execute function live.record_items();
create trigger live_truncate after truncate on public.orders_orderitem
    for each statement execute function live.record_truncate('truncate_items');

-- Also for a session that sets session_replication_role = replica, as bulk loaders do: any client that writes is heard.
alter table public.orders_order enable always trigger "!live_insert";
alter table public.orders_order enable always trigger "!live_update";
alter table public.orders_order enable always trigger live_delete;
alter table public.orders_order enable always trigger "!live_truncate";
alter table public.orders_orderitem enable always trigger live_insert;
alter table public.orders_orderitem enable always trigger live_update;
alter table public.orders_orderitem enable always trigger live_delete;
alter table public.orders_orderitem enable always trigger live_truncate;

-- Also of a history that is partitioned, and without where there is none.
do $$
begin
    if exists (select from pg_catalog.pg_class c
               where c.oid = pg_catalog.to_regclass('public.orders_orderstatushistory') and c.relkind in ('r', 'p')) then
        create trigger live_insert after insert on public.orders_orderstatushistory
            for each row execute function live.record_history();
        alter table public.orders_orderstatushistory enable always trigger live_insert;
    end if;
end
$$;
-- The role that wrote an event is read by nobody, and every writer of an order paid for it.
alter table live.order_event drop column if exists database_role;
-- Who looks at which order: one row for each open page, renewed every few seconds, so that two people at one order know of
-- each other on whichever instances they are. Nobody misses it after a crash, so that it need not be written ahead.
create unlogged table live.viewing (
    order_id bigint,
    user_id bigint,
    page text,
    username text not null,
    seen_at timestamptz not null,
    constraint viewing_pkey primary key (order_id, user_id, page)
);
-- for sweeping the pages that vanished without a word
create index viewing_seen_at_idx on live.viewing (seen_at);
-- Lists that people come back to: a filter and an order, by name, in the account. Which list (`orders` of a rep, `queue` of
-- all) is part of the key, so that each page shows its own.
create table live.saved_view (
    user_id bigint not null,
    list text not null,
    name text not null,
    query text not null,
    created_at timestamptz not null default now(),
    constraint saved_view_pkey primary key (user_id, list, name)
);
-- What each person wants to be told of and how, in the account, so that it is the same in every browser; up to where they have
-- read; and the orders of which they want to hear nothing. A missing row means what is usual for the role.
create table if not exists live.account (
    user_id bigint constraint account_pkey primary key,
    toasts boolean not null default true,
    sound boolean not null default false,
    desktop boolean not null default false,
    -- null: what is usual for the role. Statuses that are not listed here are told, also those that nobody has thought of yet
    untold_statuses text[],
    -- what was committed in this snapshot is read; a snapshot means nothing in another epoch, in which what was written until
    -- then is read
    read_epoch text,
    read_snapshot pg_snapshot,
    read_at timestamptz,
    -- of this row and of the orders below, so that a page that has it need not be told again
    version bigint not null default 0
);

create table if not exists live.muted_order (
    user_id bigint,
    order_id bigint,
    muted_at timestamptz not null default now(),
    constraint muted_order_pkey primary key (user_id, order_id)
);
-- Since when an order is its rep's, noted when the event that told so is pruned: of its time with another rep they are shown
-- nothing, however old it is.
create table if not exists live.arrival (
    order_id bigint constraint arrival_pkey primary key,
    at timestamptz not null
);
-- What the first version had and no later one uses. A view on the orders keeps the host from altering their columns.
drop view if exists live.aggregate;
drop function if exists live.epoch();
-- What signing in needs besides sessions: how often it failed of late, for accounts, addresses and devices, and the key by which a
-- device is known that has signed in before. And of a session when it was used last and from where, so that it ends when it is left
-- alone, and people know their own.
alter table live.session
    add column seen_at timestamptz not null default now(),
    -- when it ends unless it is used before; that is said when it begins or is used next
    add column idle_at timestamptz not null default 'infinity',
    add column address text,
    add column browser text;
create index session_user_id_idx on live.session (user_id);

-- Keys are digests: a name that somebody typed may have been a password, and addresses are nobody's business here. A row without
-- failures says that an account signed in from an address.
create table live.sign_in (
    key bytea constraint sign_in_pkey primary key,
    failures integer not null,
    blocked_until timestamptz,
    at timestamptz not null default now()
);
create index sign_in_at_idx on live.sign_in (at);

create table live.sign_in_key (
    singleton boolean not null default true constraint sign_in_key_pkey primary key
        constraint sign_in_key_singleton_check check (singleton),
    key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
insert into live.sign_in_key default values;
-- What a rep's list is read from: each status newest first, ties by id. It covers the list's ids and its counts by
-- date. It holds no column that an order's status change would not already have to index, so that writers pay little.
-- Built concurrently, outside a transaction: nobody waits for it. The runner skips it where an index like it exists.
create index orders_order_live_list_idx
    on public.orders_order (sales_rep_id, status, created_at desc, id desc);
insert into live.incarnation default values;
insert into live.sign_in_key default values on conflict do nothing;
-- The statistics are void, as in a database that was restored.
insert into live.fold (system_identifier) values (0);
