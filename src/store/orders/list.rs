//! Which orders a list has, in which order, and how many pages of them.
//!
//! The usual lists are made of whole statuses, newest or oldest first: an index has them ready, and the statistics know how
//! long they are, so that they open as fast for a rep with a hundred thousand orders as for one with a hundred. Whatever else
//! is asked for is searched among the scope's orders.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use chrono_tz::Tz;
use futures_util::TryStreamExt;
use rust_decimal::Decimal;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, RowStream};

use crate::order::{
    Column, Filter, Money, OrderId, PAGE_SIZE, Pagination, PaymentStatus, Scope, Sort, Status, Summary,
};
use crate::store::database::{Attempt, Connection, Store, StoreError, one_snapshot, rows};
use crate::store::people::Sight;
use crate::store::rows::{Listed, REP_COLUMNS, ROW_COLUMNS, listed, rows_by_id};

/// A parameter of a statement that is planned for itself.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Whose list, which, and in which zone its days begin.
pub(in crate::store) struct Asked<'a> {
    pub(in crate::store) scope: Scope,
    pub(in crate::store) filter: &'a Filter,
    pub(in crate::store) zone: Tz,
}

impl Store {
    /// The ids of all orders on a list, on whatever page, in the list's order: for [`Store::listed`].
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn list_ids(&self, sight: Sight, filter: &Filter, zone: Tz) -> Result<Vec<OrderId>, StoreError> {
        let scope = sight.scope();
        self.lend_to_search(async |client| {
            let transaction = one_snapshot(client).await.attempt("begin reading")?;
            limit_search(&transaction).await?;
            let asked = Asked { scope, filter, zone };
            prepare_to_search(&transaction, scope).await?;
            let (conditions, keys) = (asked.conditions(), asked.keys());
            let sql = format!("select o.id::bigint from public.orders_order o where {conditions} order by {keys}");
            let read = asked.search(&transaction, &sql, &[]).await.attempt("search the list")?;
            // row by row, each of which is many times as large as its id
            let ids = read.map_ok(|row| OrderId(row.get(0))).try_collect().await.attempt("read the list's ids")?;
            transaction.commit().await.attempt("end reading")?;
            Ok(ids)
        })
        .await
    }

    /// The newest orders of a scope, whatever their status. The summary, of the same time or before, says which statuses there are
    /// besides the listed ones.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn newest_orders(
        &self,
        sight: Sight,
        summary: &Summary,
        orders: u8,
        zone: Tz,
    ) -> Result<Vec<Listed>, StoreError> {
        let filter = Filter { sort: Sort::By { column: Column::CreatedAt, descending: true }, ..Filter::default() };
        let asked = Asked { scope: sight.scope(), filter: &filter, zone };
        let statuses = asked.counts(summary).into_iter().map(|(status, _)| status).collect();
        let slices = [Slice { statuses, skip: 0, take: orders.into() }];
        self.lend(async |client| asked.read(client, &slices).await).await
    }

    /// The scope's orders among these as they are now, in the given order. Those that are gone are left out.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn listed(&self, sight: Sight, ids: &[OrderId]) -> Result<Vec<Listed>, StoreError> {
        self.lend_to_search(async |client| {
            let found = rows_by_id(client, sight.scope(), ids).await?;
            let mut found: HashMap<OrderId, Listed> = found.into_iter().map(|listed| (listed.row.id, listed)).collect();
            Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
        })
        .await
    }
}

/// The first page of an indexed list without dates, before the statistics are known: of each rank as many orders as the
/// page can need.
pub(in crate::store) async fn first(client: &impl Connection, asked: &Asked<'_>) -> Result<Vec<Listed>, StoreError> {
    let known = asked.counts(&Summary::default()).into_iter().map(|(status, _)| status);
    let slices: Vec<Slice> =
        asked.by_rank(known).into_iter().map(|statuses| Slice { statuses, skip: 0, take: PAGE_SIZE as i64 }).collect();
    asked.read(client, &slices).await
}

/// Which page of an indexed list without dates, of how many.
pub(in crate::store) fn pagination(asked: &Asked<'_>, summary: &Summary) -> Pagination {
    paginate(asked.filter, &asked.counts(summary))
}

/// A page of an indexed list.
pub(in crate::store) async fn indexed(
    client: &impl Connection,
    asked: &Asked<'_>,
    summary: &Summary,
) -> Result<(Pagination, Vec<Listed>), StoreError> {
    let mut counts = asked.counts(summary);
    if asked.filter.has_dates() {
        counts = asked.counts_by_date(client, counts).await?;
    }
    let pagination = paginate(asked.filter, &counts);
    let rows = asked.read(client, &asked.slices(&counts, &pagination)).await?;
    Ok((pagination, rows))
}

/// A page of a list that is searched for.
pub(in crate::store) async fn searched(
    client: &impl Connection,
    asked: &Asked<'_>,
) -> Result<(Pagination, Vec<Listed>), StoreError> {
    prepare_to_search(client, asked.scope).await?;
    let (conditions, keys) = (asked.conditions(), asked.keys());
    let count = format!("select count(*) from public.orders_order o where {conditions}");
    let counted = asked.search(client, &count, &[]).await.attempt("count the list")?;
    let counted: Vec<Row> = counted.try_collect().await.attempt("count the list")?;
    let orders: i64 = counted.first().map_or(0, |row| row.get(0));
    let pagination = Pagination::of(asked.filter.page, u64::try_from(orders).unwrap_or_default());
    let columns = asked.columns();
    let page = format!(
        "select {columns} from (
             select o.id, row_number() over (order by {keys}) as place from public.orders_order o where {conditions}
             order by place offset $10 limit $11
         ) page join public.orders_order o on o.id = page.id order by page.place"
    );
    let skip = i64::try_from(pagination.offset()).unwrap_or(i64::MAX);
    let page_of: &[Parameter<'_>] = &[(&skip, Type::INT8), (&(PAGE_SIZE as i64), Type::INT8)];
    let read = asked.search(client, &page, page_of).await.attempt("search the list")?;
    let read: Vec<Row> = read.try_collect().await.attempt("search the list")?;
    Ok((pagination, read.iter().map(|row| listed(row, asked.scope)).collect::<Result<_, _>>()?))
}

/// How long a statement may take that reads the more the more orders there are: not as long as the others, since others wait for its
/// connection.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Has the server end what is searched for in this transaction after a while.
pub(in crate::store) async fn limit_search(client: &impl Connection) -> Result<(), StoreError> {
    let sql = format!("set local statement_timeout = {}", SEARCH_TIMEOUT.as_millis());
    client.client().batch_execute(&sql).await.attempt("limit the search")
}

/// What is searched for differs each time, so that each time is planned for itself. One rep's orders always have an index;
/// all orders may be best read as they lie.
async fn prepare_to_search(client: &impl Connection, scope: Scope) -> Result<(), StoreError> {
    let reads_all = if scope == Scope::All { "on" } else { "off" };
    let sql = format!("set local plan_cache_mode = force_custom_plan; set local enable_seqscan = {reads_all}");
    client.client().batch_execute(&sql).await.attempt("prepare to search")
}

fn paginate(filter: &Filter, counts: &[(Status, i64)]) -> Pagination {
    let orders: i64 = counts.iter().map(|(_, orders)| orders).sum();
    Pagination::of(filter.page, u64::try_from(orders).unwrap_or_default())
}

/// A part of the list that a page shows: so many rows of the statuses of one rank, newest first, after so many others.
struct Slice {
    statuses: Vec<Status>,
    skip: i64,
    take: i64,
}

impl Asked<'_> {
    /// Every status that the list can contain, with its number of orders: each is read from its own range of the index.
    fn counts(&self, summary: &Summary) -> Vec<(Status, i64)> {
        if self.filter.statuses.is_empty() {
            let listed = summary.orders_by_status.iter().map(|(status, orders)| (status.clone(), orders));
            return listed.chain(summary.unknown_statuses.iter().cloned()).collect();
        }
        let asked = self.filter.statuses.iter();
        asked.map(|status| (status.clone(), summary.count(status))).collect()
    }

    /// The statuses in the order of their ranks, those of one rank together. A list of one status, or one by time whatever the
    /// status, has one rank.
    fn by_rank(&self, statuses: impl IntoIterator<Item = Status>) -> Vec<Vec<Status>> {
        let mut ranks: BTreeMap<usize, Vec<Status>> = BTreeMap::new();
        for status in statuses {
            let rank = if self.filter.sort == Sort::Rank { status.rank() } else { 0 };
            ranks.entry(rank).or_default().push(status);
        }
        ranks.into_values().collect()
    }

    /// What a page shows. Whole ranks before it are skipped by their number of orders, without reading them.
    fn slices(&self, counts: &[(Status, i64)], pagination: &Pagination) -> Vec<Slice> {
        let mut before = i64::try_from(pagination.offset()).unwrap_or(i64::MAX);
        let mut missing = PAGE_SIZE as i64;
        let mut slices = Vec::new();
        for statuses in self.by_rank(counts.iter().map(|(status, _)| status.clone())) {
            let of_rank = counts.iter().filter(|(status, _)| statuses.contains(status));
            let orders: i64 = of_rank.map(|(_, orders)| orders).sum();
            let skip = before.min(orders);
            let take = missing.min(orders - skip);
            before -= skip;
            missing -= take;
            if take > 0 {
                slices.push(Slice { statuses, skip, take });
            }
        }
        slices
    }

    async fn counts_by_date(
        &self,
        client: &impl Connection,
        counts: Vec<(Status, i64)>,
    ) -> Result<Vec<(Status, i64)>, StoreError> {
        let codes: Vec<&str> = counts.iter().map(|(status, _)| status.code()).collect();
        let (from, before) = self.filter.instants(self.zone);
        let (scope, rep) = (condition(self.scope), self.rep());
        let sql = format!(
            "select s.status, c.orders from unnest($2::text[]) s (status)
             cross join lateral (select count(*) as orders from public.orders_order o where {scope} and {RANGE}) c"
        );
        let rows = rows(client, &sql, &[&rep, &codes, &from, &before]).await.attempt("count the orders")?;
        Ok(rows.iter().map(|row| (row.get::<_, &str>(0).into(), row.get(1))).collect())
    }

    /// The statement that reads an indexed list.
    pub(in crate::store) fn indexed_query(&self) -> &'static str {
        let is_oldest_first = matches!(self.filter.sort, Sort::By { descending: false, .. });
        let (of_all, has_dates) = (self.scope == Scope::All, self.filter.has_dates());
        &INDEXED[usize::from(of_all)][usize::from(has_dates)][usize::from(is_oldest_first)]
    }

    async fn read(&self, client: &impl Connection, slices: &[Slice]) -> Result<Vec<Listed>, StoreError> {
        let places: Vec<i32> = (0..).take(slices.len()).collect();
        let skips: Vec<i64> = slices.iter().map(|slice| slice.skip).collect();
        let takes: Vec<i64> = slices.iter().map(|slice| slice.take).collect();
        let placed = slices
            .iter()
            .zip(&places)
            .flat_map(|(slice, place)| slice.statuses.iter().map(move |status| (status.code(), *place)));
        let (codes, places_of_codes): (Vec<&str>, Vec<i32>) = placed.unzip();
        let (from, before) = self.filter.instants(self.zone);
        let rep = self.rep();
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&rep, &codes, &from, &before, &places, &skips, &takes, &places_of_codes];
        let rows = rows(client, self.indexed_query(), &parameters).await.attempt("read the list")?;
        rows.iter().map(|row| listed(row, self.scope)).collect()
    }

    /// Which of the scope's orders are on the list, on whatever page, among these.
    pub(in crate::store) async fn fitting(
        &self,
        client: &impl Connection,
        visible: &[Listed],
    ) -> Result<HashSet<OrderId>, StoreError> {
        if self.is_of_whole_statuses() {
            let statuses = &self.filter.statuses;
            let fitting = visible.iter().filter(|listed| statuses.is_empty() || statuses.contains(&listed.row.status));
            return Ok(fitting.map(|listed| listed.row.id).collect());
        }
        let ids: Vec<i64> = visible.iter().map(|listed| listed.row.id.0).collect();
        let conditions = self.conditions();
        let sql = format!("select o.id::bigint from public.orders_order o where {conditions} and o.id = any ($10)");
        let read = self.search(client, &sql, &[(&ids, Type::INT8_ARRAY)]).await.attempt("compare with the list")?;
        read.map_ok(|row| OrderId(row.get(0))).try_collect().await.attempt("compare with the list")
    }

    /// Whether nothing but its status brings an order onto the list, so that the statistics know its length.
    pub(in crate::store) fn is_of_whole_statuses(&self) -> bool {
        self.filter.is_indexed() && !self.filter.has_dates()
    }

    fn rep(&self) -> Option<i64> {
        self.scope.rep().map(|rep| rep.0)
    }

    fn columns(&self) -> String {
        columns(self.scope)
    }

    /// What an order `o` of a searched list fulfils, with the parameters of [`Asked::search`].
    fn conditions(&self) -> String {
        let filter = self.filter;
        let (from, before) = filter.instants(self.zone);
        let asked = [
            (!filter.statuses.is_empty(), "o.status = any ($2)"),
            (!filter.payment_statuses.is_empty(), "o.payment_status = any ($3)"),
            // what no client could show has no day
            (from.is_some(), "o.created_at >= $4 and o.created_at < '10000-01-01'"),
            (before.is_some(), "o.created_at < $5 and o.created_at >= '0001-01-01'"),
            // as they are shown; NaN is larger than any number and no total
            (filter.total_min.is_some(), "round(o.total_amount::numeric, 2) >= $6 and o.total_amount <> 'NaN'"),
            (filter.total_max.is_some(), "round(o.total_amount::numeric, 2) <= $7"),
            (
                filter.search.iter().any(|word| word.is_ascii()),
                "o.order_number || ' ' || o.customer_name ilike all ($8)",
            ),
            (filter.search.iter().any(|word| !word.is_ascii()), "o.order_number || ' ' || o.customer_name ~ all ($9)"),
        ];
        let asked = asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, condition)| condition);
        [condition(self.scope)].into_iter().chain(asked).collect::<Vec<_>>().join(" and ")
    }

    /// The sort keys of an order `o`.
    fn keys(&self) -> String {
        let (key, descending) = match self.filter.sort {
            Sort::Rank => (rank_key(), false),
            Sort::By { column, descending } => (column_key(column), descending),
        };
        let direction = if descending { "desc" } else { "asc" };
        match self.filter.sort {
            Sort::Rank => format!("{key}, o.created_at desc, o.id desc"),
            Sort::By { .. } => format!("{key} {direction}, o.id {direction}"),
        }
    }

    /// Runs a statement about a searched list, with one set of parameters for all of them, and its own from `$10` on.
    async fn search(
        &self,
        client: &impl Connection,
        sql: &str,
        others: &[Parameter<'_>],
    ) -> Result<RowStream, tokio_postgres::Error> {
        let filter = self.filter;
        let rep = self.rep();
        let statuses: Vec<&str> = filter.statuses.iter().map(Status::code).collect();
        let payment_statuses: Vec<&str> = filter.payment_statuses.iter().map(PaymentStatus::code).collect();
        let (from, before) = filter.instants(self.zone);
        let (least, most): (Option<Decimal>, Option<Decimal>) =
            (filter.total_min.map(Money::decimal), filter.total_max.map(Money::decimal));
        let (plain, accented): (Vec<&String>, Vec<&String>) = filter.search.iter().partition(|word| word.is_ascii());
        let patterns: Vec<String> = plain.into_iter().map(|word| pattern(word)).collect();
        let expressions: Vec<String> = accented.into_iter().map(|word| expression(word)).collect();
        let parameters: [Parameter<'_>; 9] = [
            (&rep, Type::INT8),
            (&statuses, Type::TEXT_ARRAY),
            (&payment_statuses, Type::TEXT_ARRAY),
            (&from, Type::TIMESTAMPTZ),
            (&before, Type::TIMESTAMPTZ),
            (&least, Type::NUMERIC),
            (&most, Type::NUMERIC),
            (&patterns, Type::TEXT_ARRAY),
            (&expressions, Type::TEXT_ARRAY),
        ];
        client.client().query_typed_raw(sql, parameters.into_iter().chain(others.iter().cloned())).await
    }
}

const OF_REP: &str = "o.sales_rep_id = $1";

/// That an order `o` is in the scope.
fn condition(scope: Scope) -> &'static str {
    match scope {
        Scope::Rep(_) => OF_REP,
        Scope::All => "$1::bigint is null",
    }
}

fn columns(scope: Scope) -> String {
    match scope {
        Scope::Rep(_) => ROW_COLUMNS.to_owned(),
        Scope::All => format!("{ROW_COLUMNS}, {REP_COLUMNS}"),
    }
}

/// A word as a regular expression that finds it whatever its case. `ilike` knows the letters of the database's locale, which
/// may be no more than those of ASCII.
fn expression(word: &str) -> String {
    let mut expression = String::new();
    for letter in word.chars() {
        let upper = only(letter.to_uppercase()).unwrap_or(letter);
        let lower = only(upper.to_lowercase()).unwrap_or(upper);
        if letter != upper || letter != lower {
            expression.extend(['[', letter, upper, lower, ']']);
        } else {
            // before a letter or a digit, a backslash is no escape
            expression.extend((letter.is_ascii() && !letter.is_ascii_alphanumeric()).then_some('\\'));
            expression.push(letter);
        }
    }
    expression
}

/// The letter, of those whose other case is one letter.
fn only(mut letters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if letters.len() == 1 { letters.next() } else { None }
}

/// A word as a pattern that finds it anywhere.
fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

fn rank_key() -> String {
    let ranks = Status::ALL.iter().map(|status| format!("when '{}' then {}", status.code(), status.rank()));
    let last = Status::Unknown("".into()).rank();
    format!("case o.status {} else {last} end", ranks.collect::<Vec<_>>().join(" "))
}

fn column_key(column: Column) -> String {
    let place = |name: &str, codes: Vec<&str>| format!("array_position('{{{}}}', o.{name}::text)", codes.join(","));
    match column {
        Column::Status => place("status", Status::ALL.iter().map(Status::code).collect()),
        Column::PaymentStatus => place("payment_status", PaymentStatus::ALL.iter().map(PaymentStatus::code).collect()),
        Column::ItemsCount => "(select count(*) from public.orders_orderitem i where i.order_id = o.id)".to_owned(),
        Column::OrderNumber | Column::CreatedAt | Column::CustomerName | Column::TotalAmount => {
            format!("o.{}", column.name())
        }
    }
}

/// The list's orders of one status between two instants: with those of one rep one range of `orders_order_live_list_idx`,
/// else of the host's index by status and time.
const RANGE: &str = "o.status = s.status \
     and o.created_at >= coalesce($3, '0001-01-01'::timestamptz) and o.created_at < coalesce($4, '10000-01-01'::timestamptz)";

/// The same with what has no day that a client could show.
const UNLIMITED: &str = "o.status = s.status and $3::timestamptz is null and $4::timestamptz is null";

/// The statements of the indexed lists: of one rep or all, without dates or between some, newest or oldest first.
static INDEXED: LazyLock<[[[String; 2]; 2]; 2]> = LazyLock::new(|| {
    let (of_rep, of_all) = ((OF_REP, ROW_COLUMNS.to_owned()), (condition(Scope::All), columns(Scope::All)));
    [of_rep, of_all].map(|(scope, columns)| {
        [UNLIMITED, RANGE].map(|range| ["desc", "asc"].map(|order| list_within(scope, range, &columns, order)))
    })
});

/// Of each status no more than the slice's last row can need, in the order of time; merged; the slice cut out.
fn list_within(scope: &str, range: &str, columns: &str, order: &str) -> String {
    format!(
        "select {columns}
         from (
             select slice.place, c.id, c.created_at
             from unnest($5::int[], $6::bigint[], $7::bigint[]) slice (place, skip, take)
             cross join lateral (
                 select merged.id, merged.created_at
                 from unnest($2::text[], $8::int[]) s (status, place)
                 cross join lateral (
                     select o.id, o.created_at from public.orders_order o where {scope} and {range}
                     order by o.created_at {order}, o.id {order} limit slice.skip + slice.take
                 ) merged
                 where s.place = slice.place
                 order by merged.created_at {order}, merged.id {order}
                 limit slice.take offset slice.skip
             ) c
             order by slice.place, c.created_at {order}, c.id {order}
             limit {PAGE_SIZE}
         ) page
         join public.orders_order o on o.id = page.id
         order by page.place, page.created_at {order}, page.id {order}"
    )
}
