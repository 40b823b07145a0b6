//! Whether what is in schema `live` is of whom it must be. Whoever migrates reads tables there, whose rows may be a view's, and fires
//! what hangs on them: what a stranger put there beforehand would run with the rights of whoever migrates, perhaps a superuser's.

use tokio_postgres::Client;

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
