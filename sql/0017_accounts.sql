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
