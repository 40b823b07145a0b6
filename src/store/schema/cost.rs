//! What the triggers and the index add to an update of the host's, measured in its own database on copies that nobody sees.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_postgres::Client;

use super::definition::LIST_INDEX;
use super::migrate::open;
use crate::store::database::{Attempt, Store, StoreError};

/// Orders that are copied, and so updates of each measurement; and how many measurements of each kind there are, in turns, so
/// that what else the machine does meanwhile concerns all kinds alike.
const ORDERS: i64 = 400;
const ROUNDS: usize = 7;

/// How long all of it may take. The connection is given up then, and with it the transaction.
const LONGEST: Duration = Duration::from_secs(10);

/// A transaction holds back the host's vacuum, and a lock on its table somebody's migration: neither for long.
const LIMITS: &str = "set local statement_timeout = '10s'; set local lock_timeout = '300ms'";

/// What an update of one order takes, without its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// With the host's own indexes alone.
    pub bare: Duration,
    /// With the lists' index as well; the same where that is one of the host's own.
    pub indexed: Duration,
    /// With the triggers as well: as it is now.
    pub attached: Duration,
    /// As it would be without the indexes that ours covers.
    pub without_covered: Duration,
    /// Indexes of the host's that begin as ours does, so that ours serves what they serve.
    pub covered: Vec<String>,
    /// Of how many updates each figure is the median's share.
    pub updates: i64,
}

/// A copy of the orders.
struct Variant {
    table: &'static str,
    has_list_index: bool,
    has_triggers: bool,
    has_covered: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant { table: "live.cost_bare", has_list_index: false, has_triggers: false, has_covered: true },
    Variant { table: "live.cost_indexed", has_list_index: true, has_triggers: false, has_covered: true },
    Variant { table: "live.cost_attached", has_list_index: true, has_triggers: true, has_covered: true },
    Variant { table: "live.cost_without_covered", has_list_index: true, has_triggers: true, has_covered: false },
];

/// An index of the orders: how to make one like it on another table.
struct Index {
    name: String,
    before: &'static str,
    after: String,
    is_ours: bool,
    is_covered: bool,
}

impl Store {
    /// Measures what the triggers and the index add to an update. It is done on copies of some orders, in tables that are
    /// made in a transaction which is rolled back: no row of the host's is locked or written, and no writer waits. `None` where
    /// there are no orders.
    ///
    /// # Errors
    /// If the role may not make tables in schema `live`, which its owner may, or the copies can't be updated.
    pub async fn cost(&self) -> Result<Option<Cost>, StoreError> {
        let link = open(self.url()).await?;
        let client = &link.client;
        client.batch_execute(&format!("begin; {LIMITS}")).await.attempt("begin measuring")?;
        // whoever alters the host's table waits for this, and its writers for them
        let measured = timeout(LONGEST, measure(client)).await.map_err(|elapsed| StoreError::TooSlow {
            attempted: "measure within 10 s what an update costs",
            cause: elapsed.into(),
        })?;
        client.batch_execute("rollback").await.attempt("end measuring")?;
        measured
    }
}

async fn measure(client: &Client) -> Result<Option<Cost>, StoreError> {
    let indexes = indexes(client).await?;
    let triggers = triggers(client).await?;
    let mut updates = 0;
    for variant in &VARIANTS {
        updates = copy(client, variant, &indexes, &triggers).await?;
    }
    if updates == 0 {
        return Ok(None);
    }
    let mut times: [Vec<Duration>; VARIANTS.len()] = std::array::from_fn(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (variant, times) in VARIANTS.iter().zip(&mut times) {
            let started = Instant::now();
            client.batch_execute(&update_each(variant.table)).await.attempt("update copies of orders")?;
            times.push(started.elapsed());
        }
    }
    let each = u32::try_from(updates).unwrap_or(1);
    let [bare, indexed, attached, without_covered] = times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2] / each
    });
    let covered = indexes.into_iter().filter(|index| index.is_covered).map(|index| index.name).collect();
    Ok(Some(Cost { bare, indexed, attached, without_covered, covered, updates }))
}

/// Single-row updates of the kind that there is most of, one after the other.
fn update_each(table: &str) -> String {
    format!(
        "do $$
         declare
             one bigint;
         begin
             for one in select id from {table} loop
                 update {table} set status = case status when 'pending' then 'confirmed' else 'pending' end where id = one;
             end loop;
         end
         $$"
    )
}

/// An index is covered if all of its keys are the first of ours, in the same order, and it does nothing else.
async fn indexes(client: &Client) -> Result<Vec<Index>, StoreError> {
    let rows = client
        .query(
            "select i.indexrelid::regclass::text, i.indisunique, substring(pg_get_indexdef(i.indexrelid) from ' USING .*'),
                 i.indexrelid = to_regclass($1) as is_ours,
                 coalesce(i.indexrelid <> ours.indexrelid and not i.indisunique and i.indpred is null and i.indexprs is null
                     and i.indnatts < ours.indnatts and c.relam = (select oid from pg_am where amname = 'btree')
                     and (i.indkey::int2[])[0:i.indnatts - 1] = (ours.indkey::int2[])[0:i.indnatts - 1]
                     and (i.indoption::int2[])[0:i.indnatts - 1] = (ours.indoption::int2[])[0:i.indnatts - 1]
                     and (i.indclass::oid[])[0:i.indnatts - 1] = (ours.indclass::oid[])[0:i.indnatts - 1]
                     and (i.indcollation::oid[])[0:i.indnatts - 1] = (ours.indcollation::oid[])[0:i.indnatts - 1], false)
             from pg_index i
             join pg_class c on c.oid = i.indexrelid
             left join pg_index ours on ours.indexrelid = to_regclass($1)
             where i.indrelid = 'public.orders_order'::regclass and i.indisvalid and not i.indisexclusion
             order by 1",
            &[&LIST_INDEX],
        )
        .await
        .attempt("look at the indexes")?;
    let index = |row: &tokio_postgres::Row| Index {
        name: row.get(0),
        before: if row.get(1) { "create unique index on" } else { "create index on" },
        after: row.get(2),
        is_ours: row.get::<_, Option<bool>>(3).unwrap_or_default(),
        is_covered: row.get(4),
    };
    Ok(rows.iter().map(index).collect())
}

/// The definitions of our triggers that updates fire, up to the table's name and from there on.
async fn triggers(client: &Client) -> Result<Vec<(String, String)>, StoreError> {
    let rows = client
        .query(
            "select pg_get_triggerdef(t.oid) from pg_trigger t join pg_proc p on p.oid = t.tgfoid
             where t.tgrelid = 'public.orders_order'::regclass and p.pronamespace = 'live'::regnamespace and t.tgtype & 16 <> 0
             order by t.tgname",
            &[],
        )
        .await
        .attempt("look at the triggers")?;
    let parts = |row: &tokio_postgres::Row| {
        let (before, after) = row.get::<_, &str>(0).split_once(" ON public.orders_order ")?;
        Some((before.to_owned(), after.to_owned()))
    };
    Ok(rows.iter().filter_map(parts).collect())
}

/// Makes a copy and gives the number of its orders.
async fn copy(
    client: &Client,
    Variant { table, has_list_index, has_triggers, has_covered }: &Variant,
    indexes: &[Index],
    triggers: &[(String, String)],
) -> Result<i64, StoreError> {
    let wanted = |index: &&Index| (!index.is_ours || *has_list_index) && (!index.is_covered || *has_covered);
    let columns: String = client
        .query_one(
            "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
             where attrelid = 'public.orders_order'::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
            &[],
        )
        .await
        .attempt("look at the columns of the orders")?
        .get(0);
    let mut sql = format!(
        "create table {table} (like public.orders_order including all excluding indexes);
         insert into {table} ({columns}) overriding system value
             select {columns} from public.orders_order limit {ORDERS};"
    );
    for Index { before, after, .. } in indexes.iter().filter(wanted) {
        sql.extend([before, " ", table, after, ";\n"]);
    }
    for (before, after) in triggers.iter().filter(|_| *has_triggers) {
        sql.extend([before, " ON ", table, " ", after, ";\n"]);
    }
    client.batch_execute(&sql).await.attempt("copy orders into a table of schema live, as its owner may")?;
    let row = client.query_one(&format!("select count(*) from {table}"), &[]).await.attempt("count the copies")?;
    Ok(row.get(0))
}
