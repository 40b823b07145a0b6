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
