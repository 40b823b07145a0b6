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
