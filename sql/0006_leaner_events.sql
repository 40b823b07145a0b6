-- What every writer of an order pays for, no wider than it must be. Pruning finds old events by their transaction, so
-- that their time needs no index. A rebuilt summary begins a new epoch, so that nothing derived from the old one is
-- carried on; `rebuilds` counts them.

drop index if exists live.order_event_at_idx;

alter table live.fold add column if not exists rebuilds bigint not null default 0;
