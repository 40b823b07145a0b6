//! Folding events into `live.order_stats`, entering them in `live.order_timeline`, and pruning those that are folded and
//! old.

use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio_postgres::{Client, IsolationLevel};

use super::recorded::RECORDING;
use crate::store::database::{Attempt, Lease, Lent, Parameters, Store, StoreError};

/// The key of the advisory lock under which one instance folds at a time: "oncafold" in ASCII.
pub(in crate::store) const FOLD_LOCK: i64 = 0x6f6e_6361_666f_6c64;

/// Has the statistics built anew, if there is a summary: also for the transaction after which changes go unrecorded, or went so
/// until it.
pub(in crate::store) const DISTRUST_STATISTICS: &str = "do $$
    begin
        if to_regclass('live.fold') is not null then
            update live.fold set system_identifier = 0 where system_identifier <> 0;
        end if;
    end
    $$;";

/// Beside what records changes, of statistics that were built after a look that found no fault in that: a snapshot that was taken
/// before that look.
pub(in crate::store) const SOUND_SINCE: &str = "sound_since";

/// How long a fold may take, and wait for others.
const PATIENCE: &str = "set local statement_timeout = 0; set local lock_timeout = '5s';";

/// Events deleted in one transaction.
const PRUNE_BATCH: i64 = 5_000;

/// Sums deleted in one transaction.
const TIDY_BATCH: i64 = 5_000;

/// Events entered in the timeline in one transaction.
const TIMELINE_STEP: i64 = 2_000;

/// Events that are counted at most where only some number of them matters.
const MOST_COUNTED: i64 = 100_000;

/// With more events than this, counting the orders is the shorter way.
const MOST_FOLDED: i64 = 500_000;

/// How long folding very many events, or counting the orders, may take on a server that has just answered.
const LONGEST_FOLD: Duration = Duration::from_secs(600);

/// What a turn at the fold did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// Another instance is at it.
    Elsewhere,
    /// There was nothing new, or less than was asked for.
    Nothing,
    /// So many events were folded.
    Events(u64),
    /// There was no valid fold: the summary was built anew from the orders.
    Rebuilt,
}

/// How far behind the events the background work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The age of an event that the summary does not contain yet, of the oldest transactions; none where it has all.
    pub unfolded: Option<Duration>,
    /// The age of the first event that is not in the timelines yet.
    pub unentered: Option<Duration>,
    /// Whether that event can't be entered yet, as an older transaction is in progress.
    pub is_held_up: bool,
    /// How many events are not in the timelines yet: exact up to 100,000, and one more where there are more.
    pub waiting: u64,
    /// The age of the oldest event.
    pub oldest: Option<Duration>,
}

impl Progress {
    /// Whether so many events wait for the timelines that they were not all counted.
    #[must_use]
    pub fn is_far_behind(&self) -> bool {
        self.waiting > MOST_COUNTED.unsigned_abs()
    }
}

impl Store {
    /// Voids the summary, so that the next fold builds it anew. Until then statistics are the plain aggregate.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub(in crate::store) async fn discard_fold(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.batch_execute(DISTRUST_STATISTICS).await.attempt("discard the fold")
    }

    /// Folds what is new into the summary; builds it anew where there is none, or one of another database.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is half done then.
    pub async fn fold(&self) -> Result<Folded, StoreError> {
        self.fold_if(1).await
    }

    /// The same if at least so many events are new.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is half done then.
    pub async fn fold_if(&self, least: i64) -> Result<Folded, StoreError> {
        let mut client = self.client().await?;
        // The lock comes first and outside the transaction: its snapshot must be later than the last fold's commit.
        if !is_alone(&mut client).await? {
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
            // a fold cut short would be begun again and again; but whoever locks its tables must not hold up the other steps
            transaction.batch_execute(PATIENCE).await.attempt("begin folding")?;
            let folded = fold_in(&transaction, &lease, least).await?;
            transaction.commit().await.attempt("commit the fold")?;
            Ok(folded)
        }
        .await;
        give_way(client, folded.is_ok()).await;
        folded
    }

    /// Builds the summary anew if a look, while no other instance does, finds that this is needed. The look finds no fault then. Until
    /// it is built, statistics are the plain aggregate.
    ///
    /// # Errors
    /// If the database can't be reached, and those of the look. What was discarded by then is built by the next fold.
    pub(in crate::store) async fn build_anew_if(
        &self,
        look: impl AsyncFnOnce(&Client) -> Result<bool, StoreError>,
    ) -> Result<Folded, StoreError> {
        let mut client = self.client().await?;
        if !is_alone(&mut client).await? {
            return Ok(Folded::Elsewhere);
        }
        let lease = client.lease();
        let built = async {
            let row = client.query_one("select pg_current_snapshot()::text", &[]).await.attempt("take a snapshot")?;
            let sound_since: String = row.get(0);
            if !look(&client).await? {
                return Ok(Folded::Nothing);
            }
            lease.extend(LONGEST_FOLD);
            client.batch_execute(DISTRUST_STATISTICS).await.attempt("discard the fold")?;
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .start()
                .await
                .attempt("begin to build the statistics anew")?;
            transaction.batch_execute(PATIENCE).await.attempt("begin to build the statistics anew")?;
            transaction.batch_execute(&REBUILD).await.attempt("build the statistics anew")?;
            let kept = "update live.fold set recording = recording || jsonb_build_object($1::text, $2::text)";
            transaction.execute(kept, &[&SOUND_SINCE, &sound_since]).await.attempt("keep what records changes")?;
            transaction.commit().await.attempt("commit the statistics")?;
            Ok(Folded::Rebuilt)
        }
        .await;
        give_way(client, built.is_ok()).await;
        built
    }

    /// Enters some of the events that are not in the timelines yet, those of the oldest transactions, and gives their
    /// number. 0 where they have all of them but those of transactions in progress, or another instance is at it.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is half done then.
    pub async fn extend_timeline(&self) -> Result<u64, StoreError> {
        self.alone("extend the timelines", EXTEND_TIMELINE, &[&TIMELINE_STEP]).await
    }

    /// Whether anybody has read statistics from the database since this was last asked: what is not folded costs them time.
    pub fn were_statistics_read(&self) -> bool {
        self.statistics_read.swap(false, Relaxed)
    }

    /// Deletes some of the sums of what no longer exists, and gives their number. They are harmless, and too many to look
    /// through at every fold.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn tidy_statistics(&self) -> Result<u64, StoreError> {
        self.alone("tidy the statistics", TIDY, &[&TIDY_BATCH]).await
    }

    /// Deletes one batch of events older than `age` that the fold no longer needs, and gives their number. 0 where there are
    /// none, or another instance is at it.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn prune(&self, age: Duration) -> Result<u64, StoreError> {
        self.alone("prune old events", PRUNE, &[&age.as_secs_f64(), &PRUNE_BATCH]).await
    }

    /// How far behind the events fold, timelines and prune are, whichever instance is at them.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn progress(&self) -> Result<Progress, StoreError> {
        let client = self.client().await?;
        let row = client.query_one(PROGRESS, &[&(MOST_COUNTED + 1)]).await.attempt("read how far the fold is")?;
        let age = |column| {
            let seconds: Option<f64> = row.get(column);
            seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default())
        };
        Ok(Progress {
            unfolded: age("unfolded"),
            unentered: age("unentered"),
            is_held_up: row.get("is_held_up"),
            waiting: u64::try_from(row.get::<_, i64>("waiting")).unwrap_or_default(),
            oldest: age("oldest"),
        })
    }

    /// Runs a statement while no other instance folds or does what must not happen meanwhile, and gives the number that it
    /// gives; 0 where another is at it.
    async fn alone(&self, attempted: &'static str, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError> {
        let mut client = self.client().await?;
        if !is_alone(&mut client).await? {
            return Ok(0);
        }
        let done = client.query_one(sql, parameters).await.attempt(attempted);
        give_way(client, done.is_ok()).await;
        Ok(u64::try_from(done?.get::<_, i64>(0)).unwrap_or_default())
    }
}

/// Whether this instance is the one that folds, until it gives way.
async fn is_alone(client: &mut Lent) -> Result<bool, StoreError> {
    let locked = client.query_one("select pg_try_advisory_lock($1)", &[&FOLD_LOCK]).await.attempt("lock the fold")?;
    let is_alone = locked.get(0);
    if is_alone {
        client.holds_lock();
    }
    Ok(is_alone)
}

/// Lets others fold. A connection in doubt ends, and takes its lock with it.
async fn give_way(mut client: Lent, is_sound: bool) {
    let unlocked = client.execute("select pg_advisory_unlock($1)", &[&FOLD_LOCK]).await;
    if is_sound && unlocked.is_ok() {
        client.holds_no_lock();
    }
}

/// What builds the statistics anew, for whoever runs it by hand.
pub(in crate::store) fn building() -> String {
    let rebuild = &*REBUILD;
    format!(
        "select pg_advisory_lock({FOLD_LOCK});\nbegin isolation level repeatable read;\n{PATIENCE}\n{rebuild};\ncommit;\n\
         select pg_advisory_unlock({FOLD_LOCK});"
    )
}

async fn fold_in(transaction: &Transaction<'_>, lease: &Lease, least: i64) -> Result<Folded, StoreError> {
    let row = transaction.query_one("select live.folded()::text", &[]).await.attempt("read the fold's cursor")?;
    let Some(since) = row.get::<_, Option<String>>(0) else {
        lease.extend(LONGEST_FOLD);
        transaction.batch_execute(&REBUILD).await.attempt("build the statistics anew")?;
        return Ok(Folded::Rebuilt);
    };
    let row = transaction
        .query_one(
            "select (select count(*) from (select from live.events_since($1::text::pg_snapshot) limit $2) e),
                 exists (select from live.truncation t where not pg_visible_in_snapshot(t.xid, $1::text::pg_snapshot))",
            &[&since, &(MOST_FOLDED + 1)],
        )
        .await
        .attempt("look for events to fold")?;
    let (events, is_truncated): (i64, bool) = (row.get(0), row.get(1));
    if events < least {
        return Ok(Folded::Nothing);
    }
    if events > MOST_FOLDED / 10 {
        lease.extend(LONGEST_FOLD);
    }
    if events > MOST_FOLDED {
        transaction.batch_execute(&REBUILD).await.attempt("build the statistics anew")?;
        return Ok(Folded::Rebuilt);
    }
    if is_truncated {
        transaction.execute("delete from live.order_stats", &[]).await.attempt("fold a truncation")?;
    }
    transaction.execute(FOLD, &[&since]).await.attempt("fold the events")?;
    transaction.execute(MOVE_FOLD, &[]).await.attempt("move the fold's cursor")?;
    Ok(Folded::Events(u64::try_from(events).unwrap_or_default()))
}

/// A position moves by its key, not in place: see `sql/0020_positions.sql`.
const MOVE_FOLD: &str = "
    with last as materialized (
        select p.turn from live.fold_position p order by p.turn desc limit 1
    ), left_behind as (
        delete from live.fold_position p using last where p.turn = last.turn
    )
    insert into live.fold_position (turn, snapshot)
    values (coalesce((select turn from last), 0) + 1, pg_current_snapshot())";

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

/// Events of those transactions alone that can't get more of them: nothing older is in progress. The position is that of the
/// last event that is entered, so that a step is as long as it should be, however many events a transaction has.
const EXTEND_TIMELINE: &str = "
    with last as materialized (
        select p.turn, p.xid, p.id from live.timeline_position p order by p.turn desc limit 1
    ), taken as materialized (
        select e.order_id, e.xid, e.id from live.order_event e
        where (e.xid, e.id) > (coalesce((select xid from last), '0'), coalesce((select id from last), 0))
          and e.xid < pg_snapshot_xmin(pg_current_snapshot())
        order by e.xid, e.id limit $1
    ), entered as (
        insert into live.order_timeline (order_id, xid, id) select * from taken where order_id is not null
        on conflict do nothing
    ), left_behind as (
        delete from live.timeline_position p using last where p.turn = last.turn and exists (select from taken)
    ), moved as (
        insert into live.timeline_position (turn, xid, id)
        select coalesce((select turn from last), 0) + 1, t.xid, t.id from taken t order by t.xid desc, t.id desc limit 1
    )
    select count(*) from taken";

const TIDY: &str = "
    with gone as (
        delete from live.order_stats where ctid = any (array(
            select s.ctid from live.order_stats s where s.orders = 0 and s.amount = 0 limit $1))
        returning 1
    )
    select count(*) from gone";

/// Each row is found by its place or its key, whatever the planner thinks of the tables' sizes. The fold's snapshot is read
/// once.
const PRUNE: &str = "
    with old as materialized (
        select e.ctid from (select r.ctid, r.xid, r.at from live.order_event r order by r.xid, r.id limit $2) e
        where e.at < now() - make_interval(secs => $1)
          and pg_visible_in_snapshot(e.xid, (select live.folded()))
    ), gone as (
        delete from live.order_event where ctid = any (array(select ctid from old)) returning *
    ), truncations as (
        delete from live.truncation where event_id in (select id from gone where operation = 'truncate')
    ), entries as (
        delete from live.order_timeline where ctid = any (array(
            select t.ctid from gone cross join lateral (
                select t.ctid from live.order_timeline t
                where t.order_id = gone.order_id and t.xid = gone.xid and t.id = gone.id limit 1
            ) t))
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
    select count(*) from gone";

/// The first event of each kind is looked up, and those that wait are counted up to a bound.
const PROGRESS: &str = "
    with position as materialized (
        select coalesce(p.xid, '0') as xid, coalesce(p.id, 0) as id
        from (select) always
        left join (select t.xid, t.id from live.timeline_position t order by t.turn desc limit 1) p on true
    ), unentered as materialized (
        select e.xid, e.at from live.order_event e
        where (e.xid, e.id) > ((select xid from position), (select id from position))
        order by e.xid, e.id limit 1
    )
    select
        extract(epoch from clock_timestamp() - (
            select e.at from live.order_event e
            where e.xid >= coalesce(pg_snapshot_xmax((select live.folded())), '0') order by e.xid, e.id limit 1
        ))::float8 as unfolded,
        extract(epoch from clock_timestamp() - (select at from unentered))::float8 as unentered,
        coalesce((select xid from unentered) >= pg_snapshot_xmin(pg_current_snapshot()), false) as is_held_up,
        (select count(*) from (
            select from live.order_event e
            where (e.xid, e.id) > ((select xid from position), (select id from position)) limit $1
        ) w) as waiting,
        extract(epoch from clock_timestamp() - (
            select e.at from live.order_event e order by e.xid, e.id limit 1
        ))::float8 as oldest";

/// Whether the summary is of another cluster, and not only voided.
const IS_OF_ELSEWHERE: &str = "exists (
        select from live.fold where system_identifier not in (0, live.system_identifier()))";

/// Transaction ids of another cluster would look like news here: events that a dump brought along get one that is
/// older than any snapshot, and are entered in the timelines anew.
static REBUILD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "set local enable_seqscan = on;
         update live.order_event set xid = '0' where xid <> '0' and {IS_OF_ELSEWHERE};
         delete from live.order_timeline where {IS_OF_ELSEWHERE};
         delete from live.timeline_position where {IS_OF_ELSEWHERE};
         delete from live.truncation;
         delete from live.unreadable;
         delete from live.order_stats;
         insert into live.order_stats (sales_rep_id, status, payment_status, orders, amount)
             select sales_rep_id, status, payment_status, orders, amount from live.aggregate();
         insert into live.fold (system_identifier, database_oid, recording)
             select live.system_identifier(), d.oid, {} from pg_database d where d.datname = current_database()
             on conflict on constraint fold_pkey do update set
                 system_identifier = excluded.system_identifier, database_oid = excluded.database_oid, recording = excluded.recording,
                 rebuilds = fold.rebuilds + 1, pruned_xid = pg_snapshot_xmax(pg_current_snapshot());
         {MOVE_FOLD}",
        *RECORDING
    )
});
