//! The listener's tail: what was committed since its cursor, in one snapshot.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use tokio_postgres::Row;

use crate::cursor::Cursor;
use crate::order::{Operation, OrderEvent, OrderId, RepId, Scope, Summary};
use crate::store::database::{
    Attempt, Connection, Link, PRESENT, StoreError, cursor_of, one_snapshot, present, rows, unless_standby,
};
use crate::store::rows::{
    CHANGES_STANDING, CONCERNED, EVENT_COLUMNS, Listed, NAMES_ITS_REPS, REP_COLUMNS, ROW_COLUMNS, is_of_later_version,
    listed, order_event, row_rep, summaries,
};

/// Events that one batch holds at most. Of more, only the concerned reps are read, and their streams read their own state
/// anew.
const LARGEST_BATCH: i64 = 5_000;

/// What happened since a cursor, in one snapshot.
#[derive(Debug)]
pub struct Batch {
    /// The batch's snapshot: the next cursor.
    pub cursor: Cursor,
    /// What there is to send.
    pub news: News,
}

/// What a batch has to say.
#[derive(Debug)]
pub enum News {
    /// What happened, one by one.
    Changed(Changed),
    /// Too much to tell one by one: the streams of these reps must read their state anew.
    Much(HashSet<RepId>),
    /// It can't be told whom it concerns: every stream must read its state anew.
    Everything(&'static str),
}

/// Events with the orders as they are now, all in one snapshot.
#[derive(Debug, Default)]
pub struct Changed {
    /// In the order of their recording.
    pub events: Vec<OrderEvent>,
    /// How many events were looked at and left out, as they concern nobody who was asked for.
    pub left_out: u64,
    /// Changes that were told before, as nobody's, and of which the history says by now who made them.
    pub named: Vec<OrderEvent>,
    /// The orders that still exist, with the rep whose they are now.
    pub rows: HashMap<OrderId, Listed>,
    /// Of each event that could not be read, or of which the order could not: the reps whose the order was and is. It is
    /// none of `events`.
    pub unreadable: Vec<Vec<RepId>>,
    /// Whether there are changes that the triggers could not read, so that nobody knows what they were.
    pub has_unrecorded: bool,
}

impl Changed {
    /// The scopes that an event concerns: that of all orders always. Whose order an item belongs to is known from the order alone, as the trigger's view
    /// of it can be older than the order's present one.
    fn concerned(&self, event: &OrderEvent) -> impl Iterator<Item = Scope> + use<> {
        let (one, other) = match event.operation {
            Operation::Items | Operation::History => (event.order.and_then(|id| self.rows.get(&id)?.rep), None),
            _ if event.rep.0 == event.rep.1 => (event.rep.0, None),
            _ => event.rep,
        };
        [one, other].into_iter().flatten().map(Scope::Rep).chain([Scope::All])
    }

    /// The scopes that events which could not be read concern.
    pub fn scopes_of_unreadable(&self) -> impl Iterator<Item = Scope> {
        self.unreadable.iter().flat_map(|reps| reps.iter().map(|rep| Scope::Rep(*rep)).chain([Scope::All]))
    }

    /// The scopes that any of the events concerns, one of them perhaps several times.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.events.iter().flat_map(|event| self.concerned(event))
    }

    /// The events that concern each scope.
    #[must_use]
    pub fn by_scope(&self) -> HashMap<Scope, Vec<&OrderEvent>> {
        let mut by_scope: HashMap<Scope, Vec<&OrderEvent>> = HashMap::new();
        for event in &self.events {
            self.concerned(event).for_each(|scope| by_scope.entry(scope).or_default().push(event));
        }
        by_scope
    }
}

impl Link {
    /// Names the incarnation of a server that has none, and gives the present cursor.
    ///
    /// # Errors
    /// If the server is lost.
    pub async fn first_cursor(&self) -> Result<Cursor, StoreError> {
        self.client
            .execute("insert into live.incarnation default values on conflict do nothing", &[])
            .await
            .attempt("name the server's incarnation")?;
        self.present().await
    }

    /// The present cursor.
    ///
    /// # Errors
    /// If the server is lost.
    pub async fn present(&self) -> Result<Cursor, StoreError> {
        present(&self.client).await
    }

    /// What was committed since the cursor and concerns one of these reps, or everything, in one snapshot and one
    /// statement. An order's move between one of them and somebody else is in it; of somebody else it tells nothing more.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn read_batch(&self, since: &Cursor, reps: Option<&[RepId]>) -> Result<Batch, StoreError> {
        batch(&self.client, since, reps).await
    }

    /// The same together with the statistics of scopes that `wanted` names, given what happened.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn read_batch_and_statistics(
        &mut self,
        since: &Cursor,
        reps: Option<&[RepId]>,
        wanted: impl FnOnce(&Batch) -> HashSet<Scope>,
    ) -> Result<(Batch, HashMap<Scope, Summary>), StoreError> {
        let transaction = one_snapshot(&mut self.client).await.attempt("begin reading")?;
        let batch = batch(&transaction, since, reps).await?;
        let scopes = wanted(&batch);
        let summaries = summaries(&transaction, &scopes).await?;
        transaction.commit().await.attempt("end reading")?;
        Ok((batch, summaries))
    }

    /// The same, where statistics of some scope can't be read: all but those. Each is read by itself.
    ///
    /// # Errors
    /// If the connection is lost, or what happened can't be read.
    pub async fn read_batch_and_readable_statistics(
        &mut self,
        since: &Cursor,
        reps: Option<&[RepId]>,
        wanted: impl FnOnce(&Batch) -> HashSet<Scope>,
    ) -> Result<(Batch, HashMap<Scope, Summary>), StoreError> {
        let mut transaction = one_snapshot(&mut self.client).await.attempt("begin reading")?;
        let batch = batch(&transaction, since, reps).await?;
        let mut readable = HashMap::new();
        for scope in wanted(&batch) {
            let attempt = transaction.transaction().await.attempt("begin reading statistics")?;
            match summaries(&attempt, &HashSet::from([scope])).await {
                Ok(summary) => {
                    attempt.commit().await.attempt("end reading statistics")?;
                    readable.extend(summary);
                }
                Err(error) if error.is_of_the_data() => {
                    tracing::warn!(?scope, error = error.chain(), "statistics can't be read");
                    attempt.rollback().await.attempt("end reading statistics")?;
                }
                Err(error) => return Err(error),
            }
        }
        transaction.commit().await.attempt("end reading")?;
        Ok((batch, readable))
    }
}

/// Whether an event `e` may concern one of the reps `$2`. Whose order an item belongs to is not known before the order is
/// read, and of an event of a later version nothing is known.
static MAY_CONCERN: LazyLock<String> = LazyLock::new(|| {
    format!("e.old_sales_rep_id = any ($2) or e.new_sales_rep_id = any ($2) or not ({NAMES_ITS_REPS})")
});

/// How long ago a change can have been recorded of which the history says only now who made it.
const NAMING: &str = "interval '1 minute'";

/// Of how many changes of an order, and of how many in all, a read says who made them: to find out takes as long for each as to read
/// several events. Of others the bell and the order's page say it.
const MOST_NAMED: [u32; 2] = [20, 200];

/// A row for each event that may concern the reps `$2`, and at least one, so that there always is a cursor. Where the history of an order
/// was written, its latest changes that name nobody come again, with who made them, unless it was in the transaction of one of them, which then says so itself.
static BATCH: LazyLock<String> = LazyLock::new(|| {
    batch_of(
        "(select count(*) from live.events_since($1::text::pg_snapshot))",
        // a rep knows whose the orders are
        "o.sales_rep_id::bigint as sales_rep_id, null::text as sales_rep",
        &format!("select * from live.events_since($1::text::pg_snapshot) e where {} limit $3", *MAY_CONCERN),
        &MAY_CONCERN,
    )
});

/// The same of every event.
static BATCH_OF_ALL: LazyLock<String> = LazyLock::new(|| {
    batch_of("null::bigint", REP_COLUMNS, "select * from live.events_since($1::text::pg_snapshot) limit $2", "true")
});

fn batch_of(recorded: &str, rep: &str, events: &str, may_concern: &str) -> String {
    let [of_one, of_all] = MOST_NAMED;
    format!(
        "with recorded as materialized ({events})
         select {PRESENT}, {recorded} as recorded, {event_columns}, e.is_told_again, {rep}, {ROW_COLUMNS}
         from (select) always
         left join (
             select r.*, false as is_told_again from recorded r
             union all
             (select e.*, true
             from (
                 select h.order_id, min(h.at) as at from recorded h
                 where h.operation = 'history' and (h.order_id, h.xid) not in (
                     select e.order_id, e.xid from recorded e where e.order_id is not null and {CHANGES_STANDING}
                 )
                 group by h.order_id
             ) h
             cross join lateral (
                 select * from live.events_of(h.order_id) e
                 where e.app_user is null and {CHANGES_STANDING} and e.at > h.at - {NAMING} and ({may_concern})
                 order by e.xid desc, e.id desc limit {of_one}
             ) e limit {of_all})
         ) e on true
         left join lateral (select * from public.orders_order o where o.id = e.order_id limit 1) o on true",
        event_columns = *EVENT_COLUMNS,
    )
}

fn ids(reps: &[RepId]) -> Vec<i64> {
    reps.iter().map(|rep| rep.0).collect()
}

async fn batch(client: &impl Connection, since: &Cursor, reps: Option<&[RepId]>) -> Result<Batch, StoreError> {
    let (since_text, most) = (since.snapshot.to_string(), LARGEST_BATCH + 1);
    let read = match reps {
        Some(reps) => rows(client, &BATCH, &[&since_text, &ids(reps), &most]).await,
        None => rows(client, &BATCH_OF_ALL, &[&since_text, &most]).await,
    };
    let mut rows = read.map_err(unless_standby("read the events"))?;
    rows.sort_by_key(|row| row.get::<_, Option<i64>>("event_id"));
    let cursor = cursor_of(rows.first())?;
    if cursor.epoch != since.epoch {
        return Ok(Batch { cursor, news: News::Everything("the server or the statistics are new") });
    }
    let is_told_again = |row: &Row| row.get::<_, Option<bool>>("is_told_again").unwrap_or_default();
    if rows.iter().filter(|row| !is_told_again(row)).count() as i64 > LARGEST_BATCH {
        return Ok(Batch { cursor, news: concerned(client, since).await? });
    }
    let mut changed = Changed::default();
    for row in rows.iter().filter(|row| row.get::<_, Option<&str>>("operation").is_some()) {
        let order = || -> Result<Option<Listed>, StoreError> {
            if row.get::<_, Option<i64>>("id").is_some() { listed(row, Scope::All).map(Some) } else { Ok(None) }
        };
        if is_told_again(row) {
            // one that can't be read was said to be so when it was told first
            changed.named.extend(order_event(row).ok().filter(|event| event.writer.user.is_some()));
            continue;
        }
        let (event, order) = match order_event(row).and_then(|event| Ok((event, order()?))) {
            Ok(read) => read,
            Err(error) => {
                let order = row.try_get::<_, Option<i64>>("order_id").ok().flatten();
                let told = "an event can't be read; whom it concerns read their state anew";
                // that there are events of a later version is said where they are looked for
                if is_of_later_version(row.get("operation")) {
                    tracing::debug!(order, error = error.chain(), "{told}");
                } else {
                    tracing::warn!(order, error = error.chain(), "{told}");
                }
                let reps = ["old_sales_rep_id", "new_sales_rep_id", "sales_rep_id"];
                changed.unreadable.push(reps.into_iter().filter_map(|column| row_rep(row, column)).collect());
                continue;
            }
        };
        match event.operation {
            Operation::Truncate => return Ok(Batch { cursor, news: News::Everything("the orders were truncated") }),
            Operation::Unreadable => {
                changed.has_unrecorded = true;
                continue;
            }
            _ => {}
        }
        changed.events.push(event);
        if let Some(order) = order {
            changed.rows.insert(order.row.id, order);
        }
    }
    let recorded = rows.first().and_then(|row| row.get::<_, Option<i64>>("recorded"));
    let told = changed.events.len() + changed.unreadable.len();
    changed.left_out = recorded.map_or(0, |recorded| (recorded as u64).saturating_sub(told as u64));
    Ok(Batch { cursor, news: News::Changed(changed) })
}

/// Whom the events since the cursor concern, where there are too many to read.
async fn concerned(client: &impl Connection, since: &Cursor) -> Result<News, StoreError> {
    let sql = format!(
        "select distinct c.rep::bigint as rep, e.operation in ('truncate', 'truncate_items') as is_truncation
         from live.events_since($1::text::pg_snapshot) e
         {CONCERNED}"
    );
    let rows = rows(client, &sql, &[&since.snapshot.to_string()]).await.attempt("read whom the events concern")?;
    if rows.iter().any(|row| row.get("is_truncation")) {
        return Ok(News::Everything("the orders were truncated"));
    }
    Ok(News::Much(rows.iter().filter_map(|row| row_rep(row, "rep")).collect()))
}
