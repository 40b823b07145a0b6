-- The roles of the service, each with what it needs and no more. Tests hold that it is enough, that nothing of it is too much, and that
-- it is what `oncare-live doctor --grants` prints.
--
-- | role                | for whom                                    | what it may                                                       |
-- |---------------------|---------------------------------------------|-------------------------------------------------------------------|
-- | `oncare_live_owner` | who runs `migrate`, `detach`, `uninstall`   | what the owner of the OnCare tables may; it owns schema `live`    |
-- | `oncare_live`       | `serve` and `doctor`                        | read what is shown of the OnCare tables; read and write `live`    |
-- | `oncare_live_forms` | `serve --own-forms`: granted to the one     | besides, write those columns of orders and of their history that  |
-- |                     | above                                       | the forms write                                                   |
--
-- The application that owns the orders, and whoever else writes to them, needs nothing of this: triggers run with the rights of
-- `oncare_live_owner`. None of the roles is a superuser, nor need the owner of the OnCare tables be one.
--
-- Run the file in the shop's database, with psql -v ON_ERROR_STOP=1 -f sql/roles.sql, before and after migrating; what is done
-- already, or can't be done yet, is left out:
--
-- 1. as a superuser; or as a role with CREATEROLE that may grant the role that owns the OnCare tables, `create` on the database, and
--    rights on schema public. It makes the three roles, none of which can sign in: make a role for each person or program that does
--    (create role … login password '…' in role oncare_live), or let these do so themselves (alter role … login password '…').
-- 2. Then oncare-live migrate, as oncare_live_owner.
-- 3. The file again, as oncare_live_owner: it lets the service in. Likewise after each update of the service.
--
-- Where the service has own forms: grant oncare_live_forms to oncare_live, by whoever did the first step.

do $$
declare
    the_role text;
    the_owner text := (
        select pg_catalog.pg_get_userbyid(c.relowner) from pg_catalog.pg_class c
        where c.oid operator(pg_catalog.=) pg_catalog.to_regclass('public.orders_order'));
    the_database text := pg_catalog.current_database();
begin
    if (select r.rolsuper from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) the_owner) then
        raise exception 'orders_order belongs to %, a superuser, which oncare_live_owner would then be as well', the_owner
            using hint = 'Give the tables of OnCare to a role of their own, which is no superuser, and run this again.';
    end if;
    foreach the_role in array array['oncare_live_owner', 'oncare_live', 'oncare_live_forms'] loop
        if pg_catalog.to_regrole(the_role) is null then
            execute pg_catalog.format('create role %I nologin', the_role);
        end if;
    end loop;
    if not pg_catalog.has_database_privilege('oncare_live_owner', the_database, 'create') then
        execute pg_catalog.format('grant create on database %I to oncare_live_owner', the_database);
    end if;
    if the_owner operator(pg_catalog.<>) 'oncare_live_owner'
        and not pg_catalog.pg_has_role('oncare_live_owner', the_owner, 'usage')
    then
        execute pg_catalog.format('grant %I to oncare_live_owner', the_owner);
    end if;
    if not pg_catalog.has_schema_privilege('oncare_live', 'public', 'usage') then
        grant usage on schema public to oncare_live;
    end if;
    if not pg_catalog.has_schema_privilege('oncare_live_owner', 'public', 'create') then
        execute pg_catalog.format('grant usage, create on schema %I to oncare_live_owner', 'public');
    end if;
end
$$;

do $$
begin
    if pg_catalog.to_regnamespace('live') is null then
        return;
    end if;

    grant usage on schema live to oncare_live;
    grant execute on all functions in schema live to oncare_live;
    grant select, insert, update on live.account to oncare_live;
    grant select, insert, update on live.arrival to oncare_live;
    grant select, insert, update, delete on live.asset to oncare_live;
    grant select, insert, update on live.fold to oncare_live;
    grant select, insert, delete on live.fold_position to oncare_live;
    grant select, insert on live.incarnation to oncare_live;
    grant select, insert, update, delete on live.instance to oncare_live;
    grant select on live.migration to oncare_live;
    grant select, insert, delete on live.muted_order to oncare_live;
    grant select, update, delete on live.order_event to oncare_live;
    grant select, insert, update, delete on live.order_stats to oncare_live;
    grant select, insert, delete on live.order_timeline to oncare_live;
    grant select, insert, update, delete on live.saved_view to oncare_live;
    grant select, insert, update, delete on live.session to oncare_live;
    grant select, insert, update, delete on live.sign_in to oncare_live;
    grant select, insert on live.sign_in_key to oncare_live;
    grant select, insert, delete on live.timeline_position to oncare_live;
    grant select, delete on live.truncation to oncare_live;
    grant select, delete on live.unreadable to oncare_live;
    grant select, insert, update, delete on live.viewing to oncare_live;

    grant select on public.orders_order to oncare_live;
    grant select on public.orders_orderitem to oncare_live;
    grant select on public.orders_orderstatushistory to oncare_live;
    grant select (id, username, password, first_name, last_name, role, is_active) on public.accounts_user to oncare_live;
    grant select (id, name, strength, dosage_form) on public.inventory_medicine to oncare_live;

    grant update (customer_name, customer_phone, customer_address, delivery_method, delivery_address, delivery_instructions,
        customer_notes, status, payment_status, confirmed_at, shipped_at, delivered_at, updated_at)
        on public.orders_order to oncare_live_forms;
    grant insert (order_id, old_status, new_status, old_payment_status, new_payment_status, notes, changed_by_id, changed_at)
        on public.orders_orderstatushistory to oncare_live_forms;
end
$$;

-- The sequence from which the history takes its keys, where they are no identity.
do $$
declare
    the_sequence text := pg_catalog.pg_get_serial_sequence('public.orders_orderstatushistory', 'id');
begin
    if the_sequence is not null and exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid operator(pg_catalog.=) 'public.orders_orderstatushistory'::pg_catalog.regclass
            and a.attname operator(pg_catalog.=) 'id' and a.attidentity operator(pg_catalog.=) ''
    ) then
        execute pg_catalog.format('grant usage on sequence %s to oncare_live_forms', the_sequence);
    end if;
end
$$;

-- Where the host, a Django, signs people on.
do $$
begin
    if pg_catalog.to_regclass('public.django_session') is not null then
        grant select (session_key, session_data, expire_date) on public.django_session to oncare_live;
    end if;
end
$$;
