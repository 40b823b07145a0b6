//! Folding events into `live.order_stats`, entering them in `live.order_timeline`, and pruning those that are folded and
//! old.

use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio_postgres::IsolationLevel;

use super::lent::{Lease, Lent};
use super::{Attempt, Store, StoreError};

/// The key of the advisory lock under which one instance folds at a time: "oncafold" in ASCII.
const FOLD_LOCK: i64 = 0x6f6e_6361_666f_6c64;

/// Events deleted in one transaction.
const PRUNE_BATCH: i64 = 5_000;

/// Events entered in the timeline in one transaction, and the rest of the last one's.
const TIMELINE_STEP: i64 = 2_000;

/// With more events than this, counting the orders is the shorter way.
const MOST_FOLDED: i64 = 500_000;

/// How long folding very many events, or counting the orders, may take on a server that has just answered.
const LONGEST_FOLD: Duration = Duration::from_secs(600);

/// What a turn at the fold did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// Another instance is at it.
    Elsewhere,
    /// There was nothing new.
    Nothing,
    /// So many events were folded.
    Events(u64),
    /// There was no valid fold: the summary was built anew from the orders.
    Rebuilt,
}

impl Store {
    /// Folds what is new into the summary; builds it anew where there is none, or one of another cluster.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is half done then.
    pub async fn fold(&self) -> Result<Folded, StoreError> {
        let mut client = self.client().await?;
        // The lock comes first and outside the transaction: its snapshot must be later than the last fold's commit.
        if !is_alone(&client).await? {
            return Ok(Folded::Elsewhere);
        }
        let lease = client.lease();
        let folded = async {
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .start()
                .await
                .attempt("begin folding")?;
            // a fold cut short would be begun again and again
            transaction.batch_execute("set local statement_timeout = 0").await.attempt("begin folding")?;
            let folded = fold_in(&transaction, &lease).await?;
            transaction.commit().await.attempt("commit the fold")?;
            Ok(folded)
        }
        .await;
        give_way(client, folded.is_ok()).await;
        folded
    }

    /// Enters some of the events that are not in the timeline yet, those of the oldest transactions, and gives their
    /// number. 0 where it has all of them but those of transactions in progress, or another instance is at it.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is half done then.
    pub async fn extend_timeline(&self) -> Result<u64, StoreError> {
        let client = self.client().await?;
        if !is_alone(&client).await? {
            return Ok(0);
        }
        let entered = client.query_one(EXTEND_TIMELINE, &[&TIMELINE_STEP]).await.attempt("extend the timeline");
        give_way(client, entered.is_ok()).await;
        Ok(u64::try_from(entered?.get::<_, i64>(0)).unwrap_or_default())
    }

    /// Whether anybody has read statistics from the database since this was last asked: what is not folded costs them time.
    pub fn were_statistics_read(&self) -> bool {
        self.statistics_read.swap(false, Relaxed)
    }

    /// Deletes the sums of what no longer exists. They are harmless, and too many to look through at every fold.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn tidy_statistics(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "delete from live.order_stats where orders = 0 and amount = 0";
        client.execute(sql, &[]).await.attempt("tidy the statistics")?;
        Ok(())
    }

    /// Deletes one batch of events older than `age` that the fold no longer needs, and gives their number.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn prune(&self, age: Duration) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_one(
                "with old as (
                     select e.xid, e.id from (select * from live.order_event order by xid, id limit $2) e
                     where e.at < now() - make_interval(secs => $1)
                       and pg_visible_in_snapshot(e.xid, live.folded())
                 ), gone as (
                     delete from live.order_event e using old where e.xid = old.xid and e.id = old.id returning e.*
                 ), truncations as (
                     delete from live.truncation t using gone where t.event_id = gone.id
                 ), entries as (
                     delete from live.order_timeline t using gone
                     where t.order_id = gone.order_id and t.xid = gone.xid and t.id = gone.id
                 ), arrivals as (
                     insert into live.arrival as a (order_id, at)
                     select order_id, max(at) from gone
                     where operation = 'update' and new_sales_rep_id is distinct from old_sales_rep_id
                     group by order_id
                     on conflict (order_id) do update set at = greatest(a.at, excluded.at)
                 ), newest as (
                     select xid from gone order by xid desc limit 1
                 ), noted as (
                     update live.fold f set pruned_xid = newest.xid from newest where newest.xid > f.pruned_xid
                 )
                 select count(*) from gone",
                &[&age.as_secs_f64(), &PRUNE_BATCH],
            )
            .await
            .attempt("prune old events")?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
    }
}

/// Whether this instance is the one that folds, until it gives way.
async fn is_alone(client: &Lent) -> Result<bool, StoreError> {
    let locked = client.query_one("select pg_try_advisory_lock($1)", &[&FOLD_LOCK]).await.attempt("lock the fold")?;
    Ok(locked.get(0))
}

/// Lets others fold. A connection in doubt takes its lock with it.
async fn give_way(client: Lent, is_sound: bool) {
    let unlocked = client.execute("select pg_advisory_unlock($1)", &[&FOLD_LOCK]).await;
    if !is_sound || unlocked.is_err() {
        client.discard();
    }
}

async fn fold_in(transaction: &Transaction<'_>, lease: &Lease) -> Result<Folded, StoreError> {
    let row = transaction.query_one("select live.folded()::text", &[]).await.attempt("read the fold's cursor")?;
    let Some(since) = row.get::<_, Option<String>>(0) else {
        lease.extend(LONGEST_FOLD);
        transaction.batch_execute(&REBUILD).await.attempt("build the statistics anew")?;
        return Ok(Folded::Rebuilt);
    };
    let row = transaction
        .query_one(
            "select count(*), count(*) filter (where e.operation = 'truncate') from (
                 select operation from live.events_since($1::text::pg_snapshot)) e",
            &[&since],
        )
        .await
        .attempt("look for events to fold")?;
    let (events, truncations): (i64, i64) = (row.get(0), row.get(1));
    if events == 0 {
        return Ok(Folded::Nothing);
    }
    if events > MOST_FOLDED / 10 {
        lease.extend(LONGEST_FOLD);
    }
    if events > MOST_FOLDED {
        transaction.batch_execute(&REBUILD).await.attempt("build the statistics anew")?;
        return Ok(Folded::Rebuilt);
    }
    if truncations > 0 {
        transaction.execute("delete from live.order_stats", &[]).await.attempt("fold a truncation")?;
    }
    transaction.execute(FOLD, &[&since]).await.attempt("fold the events")?;
    transaction
        .execute("update live.fold set snapshot = pg_current_snapshot(), folded_at = now()", &[])
        .await
        .attempt("move the fold's cursor")?;
    Ok(Folded::Events(u64::try_from(events).unwrap_or_default()))
}

/// Orders without a rep have a key of their own, as null equals nothing.
const FOLD: &str = "
    with deltas as materialized (
        select d.sales_rep_id, d.status, d.payment_status, sum(d.orders) as orders, sum(d.amount) as amount
        from live.deltas_since($1::text::pg_snapshot) d
        group by d.sales_rep_id, d.status, d.payment_status
        having sum(d.orders) <> 0 or sum(d.amount) <> 0
    ), unassigned as (
        insert into live.order_stats as s (sales_rep_id, status, payment_status, orders, amount)
        select * from deltas where sales_rep_id is null
        on conflict (status, payment_status) where sales_rep_id is null
        do update set orders = s.orders + excluded.orders, amount = s.amount + excluded.amount
    )
    insert into live.order_stats as s (sales_rep_id, status, payment_status, orders, amount)
    select * from deltas where sales_rep_id is not null
    on conflict (sales_rep_id, status, payment_status)
    do update set orders = s.orders + excluded.orders, amount = s.amount + excluded.amount";

/// Whole transactions, those alone that can't get more events: nothing older is in progress.
const EXTEND_TIMELINE: &str = "
    with bounds as materialized (
        select f.timeline_before as first, pg_snapshot_xmin(pg_current_snapshot()) as horizon from live.fold f
    ), last as materialized (
        select e.xid from bounds b, live.order_event e
        where e.xid >= b.first and e.xid < b.horizon
        order by e.xid, e.id offset $1 limit 1
    ), step as materialized (
        select b.first, coalesce((
            select e.xid from live.order_event e
            where e.xid > (select xid from last) and e.xid < b.horizon
            order by e.xid limit 1
        ), b.horizon) as next
        from bounds b
    ), taken as materialized (
        select e.order_id, e.xid, e.id from step s, live.order_event e where e.xid >= s.first and e.xid < s.next
    ), entered as (
        insert into live.order_timeline (order_id, xid, id) select * from taken where order_id is not null
        on conflict do nothing
    ), moved as (
        update live.fold f set timeline_before = s.next from step s where exists (select from taken)
    )
    select count(*) from taken";

/// Whether the summary is of another cluster, and not only voided.
const IS_OF_ELSEWHERE: &str = "exists (
        select from live.fold where system_identifier not in (0, (select system_identifier from pg_control_system())))";

/// Transaction ids of another cluster would look like news here: events that a dump brought along get one that is
/// older than any snapshot, and are entered in the timelines anew.
static REBUILD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "set local enable_seqscan = on;
         update live.order_event set xid = '0' where xid <> '0' and {IS_OF_ELSEWHERE};
         delete from live.order_timeline where {IS_OF_ELSEWHERE};
         update live.fold set timeline_before = '0' where {IS_OF_ELSEWHERE};
         delete from live.truncation;
         delete from live.order_stats;
         insert into live.order_stats (sales_rep_id, status, payment_status, orders, amount)
             select sales_rep_id, status, payment_status, orders, amount from live.aggregate();
         insert into live.fold (system_identifier, snapshot)
             select system_identifier, pg_current_snapshot() from pg_control_system()
             on conflict on constraint fold_pkey do update set
                 system_identifier = excluded.system_identifier, snapshot = excluded.snapshot,
                 folded_at = now(), rebuilds = fold.rebuilds + 1, pruned_xid = pg_snapshot_xmax(excluded.snapshot)"
    )
});
