-- A fold is of one database: where its rows were restored into another beside it, in the same cluster, the orders that came with
-- them may have been recorded as new ones there.
do $$
begin
    if not exists (select from pg_attribute
                   where attrelid = 'live.fold'::regclass and attname = 'database_oid' and not attisdropped) then
        alter table live.fold add column database_oid oid not null default 0;
        update live.fold set database_oid = (select d.oid from pg_database d where d.datname = current_database());
    end if;
end
$$;
