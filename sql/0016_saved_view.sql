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
