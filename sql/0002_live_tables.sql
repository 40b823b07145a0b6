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
