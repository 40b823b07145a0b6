-- What signing in needs besides sessions: how often it failed of late, for accounts, addresses and devices, and the key by which a
-- device is known that has signed in before. And of a session when it was used last and from where, so that it ends when it is left
-- alone, and people know their own.
alter table live.session
    add column seen_at timestamptz not null default now(),
    -- when it ends unless it is used before; that is said when it begins or is used next
    add column idle_at timestamptz not null default 'infinity',
    add column address text,
    add column browser text;
create index session_user_id_idx on live.session (user_id);

-- Keys are digests: a name that somebody typed may have been a password, and addresses are nobody's business here. A row without
-- failures says that an account signed in from an address.
create table live.sign_in (
    key bytea constraint sign_in_pkey primary key,
    failures integer not null,
    blocked_until timestamptz,
    at timestamptz not null default now()
);
create index sign_in_at_idx on live.sign_in (at);

create table live.sign_in_key (
    singleton boolean not null default true constraint sign_in_key_pkey primary key
        constraint sign_in_key_singleton_check check (singleton),
    key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
insert into live.sign_in_key default values;
