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
