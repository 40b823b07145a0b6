-- Since when an order is its rep's, noted when the event that told so is pruned: of its time with another rep they are shown
-- nothing, however old it is.
create table if not exists live.arrival (
    order_id bigint constraint arrival_pkey primary key,
    at timestamptz not null
);
