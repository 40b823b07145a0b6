//! Whether what is in schema `live` is of whom it must be. Whoever migrates reads tables there, whose rows may be a view's, and fires
//! what hangs on them: what a stranger put there beforehand would run with the rights of whoever migrates, perhaps a superuser's.

use tokio_postgres::Client;

use super::applied::{SchemaState, applied};
use super::definition::names;
use crate::store::database::{Attempt, Store, StoreError};

/// Whose things may run with the present role's rights, besides superusers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trusted {
    /// The present role's own, and those of roles that it is a member of, and of whoever owns the orders, or is a member of that. A
    /// superuser is a member of all and trusts none for that: only its own.
    Own,
    /// Those of whoever owns the orders, or is a member of that, also to a superuser.
    OwnersOfOrders,
}

impl Trusted {
    /// The roles as SQL, with their ids.
    fn roles(self) -> &'static str {
        match self {
            Self::Own => {
                "select r.oid from pg_roles r
                 where r.rolsuper or r.rolname = current_user or not present.is_superuser and (
                     pg_has_role(r.oid, 'usage') or exists (
                         select from pg_class c
                         where c.relnamespace = to_regnamespace('public') and c.relname = 'orders_order'
                             and pg_has_role(r.oid, c.relowner, 'member')))"
            }
            Self::OwnersOfOrders => {
                "select r.oid from pg_roles r
                 where r.rolsuper or r.rolname = current_user or not present.is_superuser and pg_has_role(r.oid, 'usage')
                     or exists (
                         select from pg_class c
                         where c.relnamespace = to_regnamespace('public') and c.relname = 'orders_order'
                             and pg_has_role(r.oid, c.relowner, 'member'))"
            }
        }
    }
}

impl Store {
    /// What of schema `live` belongs to somebody who is neither a superuser, nor owner of the orders' table, nor this role; and what
    /// everybody may do there, as default privileges may have it.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn strangers_things(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let mut things = things(&client, Trusted::OwnersOfOrders).await?;
        let rows = client.query(OF_EVERYBODY, &[]).await.attempt("look what everybody may do in schema live")?;
        things.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        Ok(things)
    }
}

/// Who may write sessions signs in as anybody.
const OF_EVERYBODY: &str =
    "select format('everybody may %s table live.%I', string_agg(lower(a.privilege_type), ', '), c.relname)
     from pg_class c cross join lateral aclexplode(c.relacl) a
     where c.relnamespace = to_regnamespace('live') and c.relkind in ('r', 'p', 'v') and a.grantee = 0
     group by c.relname order by c.relname limit 20";

/// Whether there is a schema `live`, of which nothing was run.
///
/// # Errors
/// If anything there, or anything that would run there, is not this role's or a superuser's.
pub(in crate::store) async fn refuse_strangers(client: &Client) -> Result<bool, StoreError> {
    let things = things(client, Trusted::Own).await?;
    if things.is_empty() {
        let sql = "select to_regnamespace('live') is not null";
        return Ok(client.query_one(sql, &[]).await.attempt("look for schema live")?.get(0));
    }
    let row = client.query_one("select current_user::text", &[]).await.attempt("ask for the role")?;
    let role: &str = row.get(0);
    Err(StoreError::Unsuitable(format!(
        "schema live has what is not of the role {role:?}, nor of a superuser: {}. It would run with the rights of this role, so that \
         nothing was read there, run or changed. If it is the service's, run this as its owner; else take it away (drop schema live \
         cascade takes all of it)",
        things.join(", ")
    )))
}

/// What is not of the trusted roles: the schema; what is in it; what things in it, or what hangs on them, call or are made of; their
/// children; and who may add to all that.
async fn things(client: &Client, trusted: Trusted) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "{BEFORE} trusted as materialized (select t.oid from present cross join lateral ({}) t) {THINGS}",
        trusted.roles()
    );
    let rows = client.query(&sql, &[]).await.attempt("look whose the things in schema live are")?;
    let things: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    // of a stranger's schema that says it all
    let whole = things.iter().find(|thing| thing.starts_with("schema live belongs to ")).cloned();
    Ok(whole.map_or(things, |whole| vec![whole]))
}

/// What there is of the service in schema `live`, which has nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Ours {
    /// Nothing at all, or no such schema.
    Nothing,
    /// All but what says which migrations were applied.
    WithoutNotes,
    /// What was applied is said there.
    Noted,
}

/// What there is of the service in schema `live`. None of it is run.
///
/// # Errors
/// If anything is there that no version of the service ever made: whoever drops the schema would take it along.
pub(in crate::store) async fn refuse_if_not_ours(client: &Client) -> Result<Ours, StoreError> {
    let row = client.query_one(OURS, &[&names()]).await.attempt("look whether schema live is the service's")?;
    let (things, others, has_notes, has_recorder): (i64, Vec<String>, bool, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let is_attached = has_notes || has_recorder;
    match others.as_slice() {
        [] if has_notes => Ok(Ours::Noted),
        [] if has_recorder => Ok(Ours::WithoutNotes),
        [] if things == 0 => Ok(Ours::Nothing),
        // what a newer version made is not known here
        _ if has_notes && matches!(SchemaState::of(&applied(client).await?), SchemaState::Newer(_)) => Ok(Ours::Noted),
        // those are not told apart where none is known to be ours
        _ if !is_attached => Err(StoreError::Unsuitable(format!(
            "schema live is not oncare-live's, which needs one of that name for itself: it has {}. Nothing was changed; give yours \
             another name first (alter schema live rename to ...)",
            row.get::<_, Vec<String>>(4).join(", ")
        ))),
        others => Err(StoreError::Unsuitable(format!(
            "schema live has what is not of oncare-live, and would go with it: {}. Nothing was changed; move that elsewhere first, \
             as by alter table ... set schema",
            others.join(", ")
        ))),
    }
}

/// Sequences of columns and the types of tables go with those.
const OURS: &str = "
    with there (class, id, name) as (
        select 'pg_class'::regclass, c.oid, c.relname::text from pg_class c
        where c.relnamespace = to_regnamespace('live') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and not exists (
                select from pg_depend d
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and c.relkind = 'S' and d.deptype in ('a', 'i'))
        union all
        select 'pg_proc'::regclass, p.oid, p.proname::text from pg_proc p where p.pronamespace = to_regnamespace('live')
        union all
        select 'pg_type'::regclass, t.oid, null from pg_type t left join pg_class c on c.oid = t.typrelid
        where t.typnamespace = to_regnamespace('live') and t.typelem = 0 and coalesce(c.relkind, 'c') = 'c'
            and not exists (
                select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'i')
    ),
    told as (
        select pg_describe_object(class, id, 0) as what, name is null or name <> all ($1::text[]) as is_others from there
    )
    select count(*), coalesce((array_agg(what order by what) filter (where is_others))[:20], '{}'),
        exists (
            select from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = to_regnamespace('live') and c.relname = 'migration' and c.relkind = 'r'
                and a.attname in ('version', 'name', 'applied_at')
            having count(*) = 3),
        exists (select from pg_proc p where p.pronamespace = to_regnamespace('live') and p.proname = 'record_update')
            and exists (select from pg_class c where c.relnamespace = to_regnamespace('live') and c.relname = 'order_event'),
        coalesce((array_agg(what order by what))[:20], '{}')
    from told";

const BEFORE: &str =
    "with present as materialized (select r.rolsuper as is_superuser from pg_roles r where r.rolname = current_user),";

/// An event trigger runs whenever something is defined, with the rights of whoever defines it. Only superusers make them, and a
/// stranger's function that one of them calls concerns whoever is a superuser.
const THINGS: &str = ",
    ours as materialized (select oid, relname, relowner from pg_class where relnamespace = to_regnamespace('live')),
    owned (class, id, owner) as (
        select 'pg_namespace'::regclass, n.oid, n.nspowner from pg_namespace n where n.nspname = 'live'
        union all select 'pg_class'::regclass, o.oid, o.relowner from ours o
        union all select 'pg_proc'::regclass, p.oid, p.proowner from pg_proc p where p.pronamespace = to_regnamespace('live')
        union all select 'pg_type'::regclass, t.oid, t.typowner from pg_type t
            where t.typnamespace = to_regnamespace('live') and t.typelem = 0 and t.typrelid = 0
        union all select 'pg_operator'::regclass, o.oid, o.oprowner from pg_operator o where o.oprnamespace = to_regnamespace('live')
        union all select 'pg_opclass'::regclass, o.oid, o.opcowner from pg_opclass o where o.opcnamespace = to_regnamespace('live')
        union all select 'pg_opfamily'::regclass, o.oid, o.opfowner from pg_opfamily o where o.opfnamespace = to_regnamespace('live')
        union all select 'pg_collation'::regclass, c.oid, c.collowner from pg_collation c where c.collnamespace = to_regnamespace('live')
        union all select 'pg_conversion'::regclass, c.oid, c.conowner from pg_conversion c where c.connamespace = to_regnamespace('live')
        union all select 'pg_statistic_ext'::regclass, s.oid, s.stxowner from pg_statistic_ext s
            where s.stxnamespace = to_regnamespace('live')
        union all select 'pg_ts_config'::regclass, c.oid, c.cfgowner from pg_ts_config c where c.cfgnamespace = to_regnamespace('live')
        union all select 'pg_ts_dict'::regclass, d.oid, d.dictowner from pg_ts_dict d where d.dictnamespace = to_regnamespace('live')
        union all select 'pg_class'::regclass, c.oid, c.relowner
            from pg_inherits i join ours o on o.oid = i.inhparent join pg_class c on c.oid = i.inhrelid
    ),
    hanging (class, id) as (
        select 'pg_class'::regclass, o.oid from ours o
        union all select 'pg_class'::regclass, i.indexrelid from pg_index i join ours o on o.oid = i.indrelid
        union all select 'pg_trigger'::regclass, t.oid from pg_trigger t join ours o on o.oid = t.tgrelid
        union all select 'pg_rewrite'::regclass, w.oid from pg_rewrite w join ours o on o.oid = w.ev_class
        union all select 'pg_attrdef'::regclass, a.oid from pg_attrdef a join ours o on o.oid = a.adrelid
        union all select 'pg_constraint'::regclass, k.oid from pg_constraint k join ours o on o.oid = k.conrelid
        union all select 'pg_policy'::regclass, p.oid from pg_policy p join ours o on o.oid = p.polrelid
        union all select 'pg_proc'::regclass, p.oid from pg_proc p where p.pronamespace = to_regnamespace('live')
        union all select 'pg_type'::regclass, t.oid from pg_type t where t.typnamespace = to_regnamespace('live')
        union all select 'pg_operator'::regclass, o.oid from pg_operator o where o.oprnamespace = to_regnamespace('live')
    ),
    called (class, id, hanging, owner) as (
        select 'pg_proc'::regclass, p.oid, pg_describe_object(h.class, h.id, 0), p.proowner
        from hanging h join pg_depend d on d.classid = h.class and d.objid = h.id and d.refclassid = 'pg_proc'::regclass
        join pg_proc p on p.oid = d.refobjid
        union all
        select 'pg_operator'::regclass, p.oid, pg_describe_object(h.class, h.id, 0), p.oprowner
        from hanging h join pg_depend d on d.classid = h.class and d.objid = h.id and d.refclassid = 'pg_operator'::regclass
        join pg_operator p on p.oid = d.refobjid
        union all
        select 'pg_type'::regclass, t.oid, pg_describe_object(h.class, h.id, 0), t.typowner
        from hanging h join pg_depend d on d.classid = h.class and d.objid = h.id and d.refclassid = 'pg_type'::regclass
        join pg_type t on t.oid = d.refobjid
        union all
        select 'pg_proc'::regclass, p.oid, 'the event trigger ' || quote_ident(e.evtname), p.proowner
        from present join pg_event_trigger e on present.is_superuser and e.evtenabled <> 'D'
        join pg_proc p on p.oid = e.evtfoid
    ),
    told (what) as (
        select format('%s belongs to %s', pg_describe_object(o.class, o.id, 0), quote_ident(pg_get_userbyid(o.owner)))
        from owned o where o.owner not in (select oid from trusted)
        union
        select format('%s needs %s, which belongs to %s', c.hanging, pg_describe_object(c.class, c.id, 0),
            quote_ident(pg_get_userbyid(c.owner)))
        from called c where c.owner not in (select oid from trusted)
        union
        select format('%s may create things in schema live', case a.grantee when 0 then 'everybody' else quote_ident(pg_get_userbyid(a.grantee)) end)
        from pg_namespace n cross join lateral aclexplode(n.nspacl) a
        where n.nspname = 'live' and a.privilege_type = 'CREATE' and a.grantee not in (select oid from trusted)
        union
        select format('%s may hang triggers on table live.%I', case a.grantee when 0 then 'everybody' else quote_ident(pg_get_userbyid(a.grantee)) end, c.relname)
        from present join pg_class c on present.is_superuser and c.relnamespace = to_regnamespace('live')
        cross join lateral aclexplode(c.relacl) a
        where a.privilege_type = 'TRIGGER' and a.grantee not in (select oid from trusted)
    )
    select what from told order by what not like 'schema live belongs to %', what limit 20";
