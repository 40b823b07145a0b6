-- What the version with migrations up to 18 made of a database that had the OnCare tables, but for the index being built
-- concurrently.
-- Not to be changed: databases have it.

create schema live;
create table live.migration (
    version integer constraint migration_pkey primary key,
    name text not null,
    applied_at timestamptz not null default now()
);
insert into live.migration (version, name) values
    (1, 'oncare_tables'), (2, 'live_tables'), (6, 'leaner_events'), (10, 'order_timeline'), (15, 'live_functions'), (12, 'triggers'), (14, 'viewing'), (16, 'saved_view'), (17, 'accounts'), (18, 'arrival'), (9, 'list_index');

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
-- TRUNCATE holds an exclusive lock until it commits, so that ids do tell what came before it from what came after. NaN is
-- a possible total: it counts as nothing.
create or replace function live.deltas_since(since pg_snapshot)
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language sql stable as $$
    select d.sales_rep_id, d.status, d.payment_status, d.orders, d.amount
    from live.events_since(since) e
    cross join (select max(t.event_id) as id from live.truncation t where not pg_visible_in_snapshot(t.xid, since)) cut
    cross join lateral (values
        (e.old_sales_rep_id, e.old_status, e.old_payment_status, -1::bigint, -coalesce(nullif(e.old_total, 'NaN'), 0)),
        (e.new_sales_rep_id, e.new_status, e.new_payment_status, 1::bigint, coalesce(nullif(e.new_total, 'NaN'), 0))
    ) d (sales_rep_id, status, payment_status, orders, amount)
    where d.status is not null and (cut.id is null or e.id > cut.id)
$$;

-- The events of one order: the older ones by live.order_timeline, and among the newer ones those of this order. Inlined.
create or replace function live.events_of(the_order bigint) returns setof live.order_event
language sql stable as $$
    select e.*
    from live.order_timeline t join live.order_event e on e.xid = t.xid and e.id = t.id
    where t.order_id = the_order and t.xid < coalesce((select f.timeline_before from live.fold f), '0')
    union all
    select e.* from live.order_event e
    where e.xid >= coalesce((select f.timeline_before from live.fold f), '0') and e.order_id = the_order
$$;

-- The snapshot of the fold, or null where there is none that holds here.
create or replace function live.folded() returns pg_snapshot
language sql stable as $$
    select snapshot from live.fold where system_identifier = (select system_identifier from pg_control_system())
$$;

-- The plain aggregate that the statistics must always equal. It is a function and no view, because a view would keep the
-- host from altering its columns.
create or replace function live.aggregate()
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language sql stable as $$
    select o.sales_rep_id, o.status, o.payment_status, count(*), coalesce(sum(nullif(o.total_amount, 'NaN')), 0)
    from public.orders_order o
    group by o.sales_rep_id, o.status, o.payment_status
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

-- The triggers that record what changed and wake a listener that sleeps. A statement that changes 10,000 orders sends at
-- most one notification. The functions are `security definer`, so that a writer needs no right on schema live, and touch
-- nothing that another writer could hold a lock on. Run again, this file puts back what somebody took away.

-- Whether a listener sleeps, so that it must be notified. A listener that sleeps holds this lock exclusively; one that is
-- awake reads on its own, and where there is none nobody need be told. Who is granted the lock here keeps it until the
-- transaction ends, and a listener can't fall asleep before that: it gets its exclusive lock only when everything that was
-- not notified is committed, and reads once more then. A savepoint that is rolled back takes its event and its lock along.
-- Notifying costs a lock on the whole cluster until the commit is on disk, which ends group commit; this costs no wait.
-- The key is "oncawake" in ASCII.
create or replace function live.listener_sleeps() returns boolean
language sql volatile as $$
    select not pg_try_advisory_xact_lock_shared(8029464455914023781)
$$;

-- Wakes the listeners. The payload says which reps are concerned, where they are given and few, else "all"; a payload of
-- 8,000 bytes or more would abort the writer's transaction. Nothing else about an order leaves by this door. A full queue,
-- which any listening session that is stuck in a transaction can cause, would make the writer's commit fail: from half full
-- on nobody is notified, and the listener finds the change when it reads without being told to, every three seconds.
create or replace function live.notify(reps bigint[]) returns void
language sql volatile as $$
    select pg_notify('live_orders', case when cardinality(reps) <= 100 then 'reps:' || array_to_string(reps, ',') else 'all' end)
    where pg_notification_queue_usage() < 0.5
$$;

create or replace function live.record_insert() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
    select 'insert', n.id, n.order_number, n.sales_rep_id, n.status, n.payment_status, n.total_amount
    from new_rows n;
    if found and live.listener_sleeps() then
        perform live.notify(array(select distinct n.sales_rep_id from new_rows n where n.sales_rep_id is not null));
    end if;
    return null;
end
$$;

-- Updates are recorded row by row, unlike all else: matching the rows of a statement before and after would cost each
-- single-row update more than a large one gains by it. The notification says "all", as a transaction sends the same one only
-- once, however many rows it updates. What is recorded is told here and not by a condition of the trigger, which would keep
-- the host from altering the columns in it.
--
-- Most updates that are recorded change the status and no other text. They take the first way, as PL/pgSQL prepares each
-- expression that a transaction comes to anew, at a cost that sixteen writers feel; hence also a plain INSERT whose values
-- need no computing. A changed primary key is the end of one order and the beginning of another, whatever the statement
-- calls it.
create or replace function live.record_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if old.status <> new.status and old.id = new.id and old.order_number = new.order_number
        and old.customer_name = new.customer_name and old.created_at = new.created_at
    then
        insert into live.order_event (
            operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
            old_payment_status, new_payment_status, old_total, new_total
        )
        values ('update', new.id, old.order_number, old.sales_rep_id, new.sales_rep_id, old.status, new.status,
            old.payment_status, new.payment_status, old.total_amount, new.total_amount);
    elsif old.id <> new.id then
        insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
        values ('delete', old.id, old.order_number, old.sales_rep_id, old.status, old.payment_status, old.total_amount);
        insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
        values ('insert', new.id, new.order_number, new.sales_rep_id, new.status, new.payment_status, new.total_amount);
    elsif old.status = new.status
        and old.payment_status = new.payment_status
        and old.total_amount = new.total_amount
        and old.sales_rep_id is not distinct from new.sales_rep_id
        and old.order_number = new.order_number
        and old.customer_name = new.customer_name
        and old.created_at = new.created_at
    then
        return null;
    else
        insert into live.order_event (
            operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
            old_payment_status, new_payment_status, old_total, new_total, other
        )
        values ('update', new.id, old.order_number, old.sales_rep_id, new.sales_rep_id, old.status, new.status,
            old.payment_status, new.payment_status, old.total_amount, new.total_amount,
            live.other_changes(old.order_number, new.order_number, old.customer_name, new.customer_name,
                old.created_at, new.created_at));
    end if;
    if live.listener_sleeps() then
        perform live.notify(null);
    end if;
    return null;
end
$$;

-- Changes of the other columns that the list shows, or null: {"customer_name": ["old", "new"]}.
create or replace function live.other_changes(
    old_number text, new_number text, old_customer text, new_customer text, old_created timestamptz, new_created timestamptz
) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
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
    insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
    select 'delete', o.id, o.order_number, o.sales_rep_id, o.status, o.payment_status, o.total_amount
    from old_rows o;
    if found and live.listener_sleeps() then
        perform live.notify(array(select distinct o.sales_rep_id from old_rows o where o.sales_rep_id is not null));
    end if;
    return null;
end
$$;

create or replace function live.record_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    with recorded as (
        insert into live.order_event (operation) values (tg_argv[0]) returning id
    )
    insert into live.truncation (event_id) select id from recorded where tg_argv[0] = 'truncate';
    if live.listener_sleeps() then
        perform live.notify(null);
    end if;
    return null;
end
$$;

-- The number of items is shown with an order, so that a statement that changes it changes the order. The order may be
-- on its way to another rep in a transaction that is not visible here, so everybody is woken.
create or replace function live.record_items() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    orders bigint[];
    deltas integer[];
begin
    if tg_op = 'INSERT' then
        select array_agg(c.order_id), array_agg(c.items) into orders, deltas
        from (select order_id, count(*) as items from new_rows group by order_id) c;
    elsif tg_op = 'DELETE' then
        select array_agg(c.order_id), array_agg(-c.items) into orders, deltas
        from (select order_id, count(*) as items from old_rows group by order_id) c;
    else
        select array_agg(c.order_id), array_agg(c.items) into orders, deltas
        from (
            select i.order_id, sum(i.items) as items
            from (select order_id, 1 as items from new_rows union all select order_id, -1 from old_rows) i
            group by i.order_id
            having sum(i.items) <> 0
        ) c;
    end if;
    insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, items_delta)
    select 'items', o.id, o.order_number, o.sales_rep_id, o.sales_rep_id, c.delta
    from unnest(orders, deltas) c (order_id, delta)
    join public.orders_order o on o.id = c.order_id;
    if found and live.listener_sleeps() then
        perform live.notify(null);
    end if;
    return null;
end
$$;

-- of an earlier version
drop function if exists live.notify(text);

drop trigger if exists live_insert on public.orders_order;
create trigger live_insert after insert on public.orders_order
    referencing new table as new_rows for each statement execute function live.record_insert();
drop trigger if exists live_update on public.orders_order;
create trigger live_update after update on public.orders_order
    for each row execute function live.record_update();
drop trigger if exists live_delete on public.orders_order;
create trigger live_delete after delete on public.orders_order
    referencing old table as old_rows for each statement execute function live.record_delete();
drop trigger if exists live_truncate on public.orders_order;
create trigger live_truncate after truncate on public.orders_order
    for each statement execute function live.record_truncate('truncate');

drop trigger if exists live_insert on public.orders_orderitem;
create trigger live_insert after insert on public.orders_orderitem
    referencing new table as new_rows for each statement execute function live.record_items();
drop trigger if exists live_update on public.orders_orderitem;
create trigger live_update after update on public.orders_orderitem
    referencing old table as old_rows new table as new_rows for each statement execute function live.record_items();
drop trigger if exists live_delete on public.orders_orderitem;
create trigger live_delete after delete on public.orders_orderitem
    referencing old table as old_rows for each statement execute function live.record_items();
drop trigger if exists live_truncate on public.orders_orderitem;
create trigger live_truncate after truncate on public.orders_orderitem
    for each statement execute function live.record_truncate('truncate_items');

-- Also for a session that sets session_replication_role = replica, as bulk loaders do: any client that writes is heard.
alter table public.orders_order enable always trigger live_insert;
alter table public.orders_order enable always trigger live_update;
alter table public.orders_order enable always trigger live_delete;
alter table public.orders_order enable always trigger live_truncate;
alter table public.orders_orderitem enable always trigger live_insert;
alter table public.orders_orderitem enable always trigger live_update;
alter table public.orders_orderitem enable always trigger live_delete;
alter table public.orders_orderitem enable always trigger live_truncate;

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

-- What a rep's list is read from: each status newest first, ties by id. It covers the list's ids and its counts by
-- date. It holds no column that an order's status change would not already have to index, so that writers pay little.
-- Built concurrently, outside a transaction: nobody waits for it. The runner skips it where an index like it exists.
create index orders_order_live_list_idx
    on public.orders_order (sales_rep_id, status, created_at desc, id desc);
