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
