//! Taking off again what watches the orders, triggers and index; or everything: the schema too, and what a role was granted. No writer
//! waits for it longer than a request for a lock is left to wait.

use tokio_postgres::Client;

use super::definition::{DROP_LIST_INDEX, LIST_INDEX};
use super::executor::without_queueing_writers;
use super::inspect::server;
use super::migrate::{lock, open};
use super::rights::{of_host, quoted, rights, sequences};
use super::trust::refuse_if_not_ours;
use crate::store::database::{Attempt, Store, StoreError, words_of};
use crate::store::tail::DISTRUST_STATISTICS;

/// What was taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The triggers, as `name on table`.
    pub triggers: Vec<String>,
    /// Whether there was a schema.
    pub schema: bool,
    /// Whether there was an index of ours.
    pub index: bool,
    /// What was granted for the service on what is not its own, and still is: statements that take it back.
    pub left_granted: Vec<String>,
    /// How many instances of the service are connected, and will fail from now on.
    pub instances: i64,
}

/// What of the service there is in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The database's name.
    pub database: String,
    /// The triggers, as `name on table`.
    pub triggers: Vec<String>,
    /// Whether there is a schema.
    pub schema: bool,
    /// Whether there is an index of ours.
    pub index: bool,
}

/// What was detached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// The triggers, as `name on table`.
    pub triggers: Vec<String>,
    /// Whether there was an index of ours.
    pub index: bool,
}

impl Store {
    /// What [`Store::uninstall`] would take off.
    ///
    /// # Errors
    /// If the database can't be reached, or the schema has what is not of the service.
    pub async fn attached(&self) -> Result<Attached, StoreError> {
        let client = self.client().await?;
        refuse_if_not_ours(&client).await?;
        let row = client
            .query_one(
                "select current_database()::text, to_regnamespace('live') is not null, exists (
                     select from pg_class where relnamespace = to_regnamespace('public') and relname = $1)",
                &[&LIST_INDEX.trim_start_matches("public.")],
            )
            .await
            .attempt("look at what is attached")?;
        let triggers = our_triggers(&client).await?.into_iter();
        let triggers =
            triggers.flat_map(|(table, names)| names.into_iter().map(move |name| format!("{name} on {table}")));
        Ok(Attached { database: row.get(0), schema: row.get(1), index: row.get(2), triggers: triggers.collect() })
    }

    /// Takes triggers and index off, and keeps the schema with what people have in it and what was recorded.
    /// [`Store::migrate`] puts them back. Run again it goes on where it was broken off.
    ///
    /// # Errors
    /// If nothing may be dropped, or the orders stay locked by others for over a minute.
    pub async fn detach(&self) -> Result<Detached, StoreError> {
        let link = open(self.url()).await?;
        let client = &link.client;
        if server(client).await?.2 {
            return Err(StoreError::Standby);
        }
        lock(client).await?;
        Ok(Detached { triggers: drop_triggers(client).await?, index: drop_index(client).await? })
    }

    /// Takes the triggers off, drops schema and index, and takes back what the role was granted, if one is named. Run again it
    /// goes on where it was broken off.
    ///
    /// # Errors
    /// If something of the host's is in the schema or depends on it, the role does not exist or nothing may be dropped, before anything
    /// is changed; if the orders stay locked by others for over a minute.
    pub async fn uninstall(&self, role: Option<&str>) -> Result<Removed, StoreError> {
        let link = open(self.url()).await?;
        let client = &link.client;
        if server(client).await?.2 {
            return Err(StoreError::Standby);
        }
        lock(client).await?;
        refuse_if_not_ours(client).await?;
        refuse_if_others_depend(client).await?;
        let is_there = client
            .query_one("select $1::text is null or to_regrole(quote_ident($1)) is not null", &[&role])
            .await
            .attempt("look for the role")?;
        if let Some(role) = role.filter(|_| !is_there.get::<_, bool>(0)) {
            return Err(StoreError::Unsuitable(format!("there is no role {role:?}; nothing was changed")));
        }
        let instances = client
            .query_one(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and application_name like '% listener'",
                &[],
            )
            .await
            .attempt("look for instances of the service")?
            .get(0);
        let grantees = granted_roles(client).await?;
        let triggers = drop_triggers(client).await?;
        let schema = drop_schema(client).await?;
        let index = drop_index(client).await?;
        let mut left_granted = Vec::new();
        for grantee in
            role.map(str::to_owned).into_iter().chain(grantees.into_iter().filter(|name| Some(name.as_str()) != role))
        {
            let mut statements: Vec<String> = revocations(client, &grantee).await?;
            statements.extend(session_revocation(client, &grantee).await?);
            statements.extend(password_revocation(client, &grantee).await?);
            if role == Some(grantee.as_str()) {
                let outcome = without_queueing_writers(client, &statements.join("\n"), "").await;
                outcome.attempt("take back what the role was granted")?;
            } else {
                left_granted.extend(statements);
            }
        }
        Ok(Removed { triggers, schema, index, left_granted, instances })
    }
}

/// What is granted on the host's own. The rest goes with the schema.
async fn revocations(client: &Client, role: &str) -> Result<Vec<String>, StoreError> {
    let sequences = sequences(client, true).await?;
    let of_host = rights(true).filter(|right| right.ends_with("schema public")).chain(of_host());
    Ok(of_host.chain(sequences).map(|right| format!("revoke {right} from {};", quoted(role))).collect())
}

/// The sessions of a host that signs people on, where the role may read them by a grant of its own.
async fn session_revocation(client: &Client, role: &str) -> Result<Option<String>, StoreError> {
    let granted = client
        .query_one(
            "select exists (
                 select from pg_class c
                 cross join lateral (
                     select e.grantee, e.privilege_type from aclexplode(c.relacl) e
                     union all
                     select e.grantee, e.privilege_type from pg_attribute t cross join lateral aclexplode(t.attacl) e
                     where t.attrelid = c.oid
                 ) a
                 join pg_roles r on r.oid = a.grantee
                 where c.relnamespace = to_regnamespace('public') and c.relname = 'django_session' and r.rolname = $1
                     and a.grantee <> c.relowner and a.privilege_type = 'SELECT')",
            &[&role],
        )
        .await
        .attempt("look who may read the host's sessions")?;
    Ok(granted.get::<_, bool>(0).then(|| format!("revoke select on public.django_session from {};", quoted(role))))
}

/// The passwords of the host's users, where the role may replace their hashes by a grant of its own (`--upgrade-password-hashes`).
async fn password_revocation(client: &Client, role: &str) -> Result<Option<String>, StoreError> {
    let granted = client
        .query_one(
            "select exists (
                 select from pg_attribute t join pg_class c on c.oid = t.attrelid
                 cross join lateral aclexplode(t.attacl) a join pg_roles r on r.oid = a.grantee
                 where c.relnamespace = to_regnamespace('public') and c.relname = 'accounts_user' and t.attname = 'password'
                     and r.rolname = $1 and a.grantee <> c.relowner and a.privilege_type = 'UPDATE')",
            &[&role],
        )
        .await
        .attempt("look who may replace the users' passwords")?;
    let statement = || format!("revoke update (password) on public.accounts_user from {};", quoted(role));
    Ok(granted.get::<_, bool>(0).then(statement))
}

/// A cascade would drop whatever of the host's names something in the schema: views, keys, functions, defaults, policies. Only the
/// triggers that call our functions are ours wherever they are.
async fn refuse_if_others_depend(client: &Client) -> Result<(), StoreError> {
    let rows = client
        .query(
            "with ours as (
                 select 'pg_class'::regclass as class, oid from pg_class where relnamespace = to_regnamespace('live')
                 union all
                 select 'pg_proc'::regclass, oid from pg_proc where pronamespace = to_regnamespace('live')
                 union all
                 select 'pg_type'::regclass, oid from pg_type where typnamespace = to_regnamespace('live')
             )
             select distinct coalesce(pg_describe_object('pg_class'::regclass, w.ev_class, 0),
                                      pg_describe_object(d.classid, d.objid, 0))
             from ours
             join pg_depend d on d.refclassid = ours.class and d.refobjid = ours.oid and d.deptype = 'n'
             left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
             left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
             left join pg_class c on c.oid = case d.classid when 'pg_rewrite'::regclass then w.ev_class
                                                            when 'pg_attrdef'::regclass then a.adrelid
                                                            when 'pg_class'::regclass then d.objid end
             left join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
             left join pg_type t on d.classid = 'pg_type'::regclass and t.oid = d.objid
             left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
             where d.classid <> 'pg_trigger'::regclass
               and coalesce(c.relnamespace, p.pronamespace, t.typnamespace, k.connamespace)
                   is distinct from to_regnamespace('live')
             order by 1",
            &[],
        )
        .await
        .attempt("look for what depends on schema live")?;
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    Err(StoreError::Unsuitable(format!(
        "something that is not of oncare-live depends on its schema and would go with it: {}. Nothing was changed; drop that \
         first",
        names.join(", ")
    )))
}

/// The roles that were let into the schema.
async fn granted_roles(client: &Client) -> Result<Vec<String>, StoreError> {
    let rows = client
        .query(
            "select distinct r.rolname::text from pg_namespace n
             cross join lateral aclexplode(n.nspacl) a
             join pg_roles r on r.oid = a.grantee
             where n.nspname = 'live' and a.grantee <> n.nspowner
             order by 1",
            &[],
        )
        .await
        .attempt("look who was granted the schema")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The triggers that call our functions, by the table that they are on; also where somebody gave the schema another name.
async fn our_triggers(client: &Client) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let rows = client
        .query(
            "select t.tgrelid::regclass::text, array_agg(quote_ident(t.tgname) order by t.tgname)
             from pg_trigger t join pg_proc p on p.oid = t.tgfoid
             where (p.pronamespace = to_regnamespace('live')
                    or starts_with(p.proname, 'record_') and strpos(p.prosrc, 'live.order_event') > 0)
                 and not t.tgisinternal and t.tgparentid = 0
             group by t.tgrelid order by 1",
            &[],
        )
        .await
        .attempt("look at the triggers")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Table by table, so that no writer waits for more than one request.
async fn drop_triggers(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut dropped = Vec::new();
    for (table, triggers) in our_triggers(client).await? {
        let statements: String =
            triggers.iter().map(|name| format!("drop trigger if exists {name} on {table};\n")).collect();
        // without those of the history no change goes unrecorded
        let after = if table.ends_with("orders_orderstatushistory") { "" } else { DISTRUST_STATISTICS };
        let outcome = without_queueing_writers(client, &statements, after).await;
        outcome.map_err(|e| failed("take the triggers off", &e))?;
        dropped.extend(triggers.iter().map(|name| format!("{name} on {table}")));
    }
    Ok(dropped)
}

/// No transaction of a writer that fired a trigger is open any more: the triggers could not have been dropped.
async fn drop_schema(client: &Client) -> Result<bool, StoreError> {
    let row =
        client.query_one("select to_regnamespace('live') is not null", &[]).await.attempt("look for the schema")?;
    if !row.get::<_, bool>(0) {
        return Ok(false);
    }
    let dropped = without_queueing_writers(client, "drop schema if exists live cascade", "").await;
    dropped.map_err(|e| failed("drop schema live", &e))?;
    Ok(true)
}

/// Waits for the transactions that may use it, without anybody waiting for this.
async fn drop_index(client: &Client) -> Result<bool, StoreError> {
    let row = client
        .query_one("select to_regclass($1) is not null", &[&LIST_INDEX])
        .await
        .attempt("look for the list's index")?;
    if !row.get::<_, bool>(0) {
        return Ok(false);
    }
    client.batch_execute(DROP_LIST_INDEX).await.map_err(|e| failed("drop the list's index", &e))?;
    Ok(true)
}

fn failed(what: &str, error: &tokio_postgres::Error) -> StoreError {
    let cause = words_of(error);
    StoreError::Unsuitable(format!(
        "could not {what}: {cause}. What was taken off before stays off; run it again, and it goes on from there"
    ))
}
