//! The oracle: what every rep's orders were in any snapshot, from versions that triggers of the test's own recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tokio_postgres::Client;

/// Which transactions a cursor sees, read by rules of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub epoch: String,
    pub xmax: u64,
    pub in_progress: BTreeSet<u64>,
}

impl Seen {
    /// Of `epoch/xmin:xmax:xip,…`.
    pub fn of(cursor: &str) -> Self {
        let (epoch, snapshot) = cursor.split_once('/').expect("a cursor has an epoch");
        let parts: Vec<&str> = snapshot.split(':').collect();
        let in_progress = parts[2].split(',').filter(|xid| !xid.is_empty()).map(|xid| xid.parse().unwrap()).collect();
        Self { epoch: epoch.to_owned(), xmax: parts[1].parse().unwrap(), in_progress }
    }

    fn has(&self, xid: u64) -> bool {
        xid < self.xmax && !self.in_progress.contains(&xid)
    }

    /// Of the same epoch, whether this is an older state.
    pub fn is_older_than(&self, other: &Self) -> bool {
        (self.xmax, other.in_progress.len()) < (other.xmax, self.in_progress.len())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub number: String,
    pub rep: Option<i64>,
    pub status: String,
    pub payment_status: String,
    /// In hundredths.
    pub total: i64,
}

/// What the page shows of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub number: String,
    pub status: String,
    pub payment_status: String,
    /// In hundredths.
    pub total: i64,
    pub items: i64,
}

/// The cards and the breakdown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub total: i64,
    pub by_status: BTreeMap<String, i64>,
    /// In hundredths.
    pub revenue: i64,
}

impl Figures {
    fn add(&mut self, order: &Order, sign: i64) {
        self.total += sign;
        let count = self.by_status.entry(order.status.clone()).or_default();
        *count += sign;
        if *count == 0 {
            self.by_status.remove(&order.status);
        }
        if order.status == "delivered" && order.payment_status == "paid" {
            self.revenue += sign * order.total;
        }
    }

    /// Of an event's or an answer's JSON.
    pub fn of_json(data: &Value) -> Self {
        let by_status = data["orders_by_status"].as_object().unwrap().iter();
        let counts = by_status.map(|(status, entry)| (status.clone(), entry["count"].as_i64().unwrap()));
        Self {
            total: data["statistics"]["total_orders"].as_i64().unwrap(),
            by_status: counts.filter(|(_, count)| *count != 0).collect(),
            revenue: hundredths(&data["statistics"]["total_revenue"]),
        }
    }
}

pub fn hundredths(amount: &Value) -> i64 {
    (amount.as_f64().unwrap() * 100.0).round() as i64
}

struct Version {
    xid: u64,
    /// Nothing where the order was deleted.
    order: Option<Order>,
}

/// Every version of every order that is in the database.
#[derive(Default)]
pub struct Audit {
    orders: BTreeMap<i64, Vec<Version>>,
    /// Of each order, how the number of its items changed, in the order of `seq`.
    items: HashMap<i64, Vec<(i64, u64, i64)>>,
    item_truncations: Vec<(i64, u64)>,
    /// When each transaction committed, in seconds since 1970, and what it changed, in the order of commits.
    commits: Vec<(f64, i64, i64, Option<Order>)>,
    newest: i64,
}

impl Audit {
    /// Reads what was recorded since the last time. Nobody may be writing.
    pub async fn read(&mut self, client: &Client) {
        let rows = client
            .query(
                "select seq, xid::text, what, order_id, order_number, rep, status, payment_status, (total * 100)::bigint as total,
                     items::bigint, extract(epoch from pg_xact_commit_timestamp(xid::xid))::float8 as committed
                 from audit.version where seq > $1 order by seq",
                &[&self.newest],
            )
            .await
            .unwrap();
        for row in rows {
            let (seq, xid): (i64, u64) = (row.get("seq"), row.get::<_, &str>("xid").parse().unwrap());
            let committed = row.get::<_, Option<f64>>("committed").unwrap_or_default();
            self.newest = seq;
            match row.get("what") {
                "truncate" => {
                    let ids: Vec<i64> = self.orders.keys().copied().collect();
                    for id in ids {
                        self.note(id, Version { xid, order: None }, seq, committed);
                    }
                }
                "truncate_items" => self.item_truncations.push((seq, xid)),
                "item" => self.items.entry(row.get("order_id")).or_default().push((seq, xid, row.get("items"))),
                "gone" => self.note(row.get("order_id"), Version { xid, order: None }, seq, committed),
                _ => {
                    let order = Order {
                        number: row.get("order_number"),
                        rep: row.get("rep"),
                        status: row.get("status"),
                        payment_status: row.get("payment_status"),
                        total: row.get("total"),
                    };
                    self.note(row.get("order_id"), Version { xid, order: Some(order) }, seq, committed);
                }
            }
        }
    }

    fn note(&mut self, id: i64, version: Version, seq: i64, committed: f64) {
        self.commits.push((committed, seq, id, version.order.clone()));
        self.orders.entry(id).or_default().push(version);
    }

    /// The order in a snapshot, whosever it was.
    fn order(&self, id: i64, seen: &Seen) -> Option<&Order> {
        self.orders.get(&id)?.iter().rev().find(|version| seen.has(version.xid))?.order.as_ref()
    }

    /// The order in a snapshot, if it was that rep's.
    pub fn shown(&self, id: i64, rep: i64, seen: &Seen) -> Option<Shown> {
        let order = self.order(id, seen).filter(|order| order.rep == Some(rep))?;
        let truncated = self.item_truncations.iter().rev().find(|(_, xid)| seen.has(*xid)).map_or(0, |(seq, _)| *seq);
        let items = self.items.get(&id).into_iter().flatten();
        let items = items.filter(|(seq, xid, _)| *seq > truncated && seen.has(*xid)).map(|(_, _, items)| items).sum();
        let Order { number, status, payment_status, total, .. } = order.clone();
        Some(Shown { number, status, payment_status, total, items })
    }

    /// The rep's figures in a snapshot.
    pub fn figures(&self, rep: i64, seen: &Seen) -> Figures {
        let mut figures = Figures::default();
        let orders = self.orders.keys().filter_map(|id| self.order(*id, seen));
        orders.filter(|order| order.rep == Some(rep)).for_each(|order| figures.add(order, 1));
        figures
    }

    /// The orders of which the rep sees something else in the second snapshot than in the first.
    pub fn changed(&self, rep: i64, from: &Seen, to: &Seen) -> Vec<i64> {
        let newly = |xid: &u64| to.has(*xid) && !from.has(*xid);
        let mut ids: BTreeSet<i64> = BTreeSet::new();
        ids.extend(self.orders.iter().filter(|(_, all)| all.iter().any(|one| newly(&one.xid))).map(|(id, _)| *id));
        ids.extend(self.items.iter().filter(|(_, all)| all.iter().any(|(_, xid, _)| newly(xid))).map(|(id, _)| *id));
        let differs = |id: &i64| self.shown(*id, rep, from) != self.shown(*id, rep, to);
        ids.into_iter().filter(differs).collect()
    }

    /// Whether the order was ever that rep's.
    pub fn was_ever_of(&self, id: i64, rep: i64) -> bool {
        let versions = self.orders.get(&id).into_iter().flatten();
        versions.filter_map(|version| version.order.as_ref()).any(|order| order.rep == Some(rep))
    }

    /// The rep's figures over time: from when on, in seconds since 1970.
    pub fn timeline(&self, rep: i64) -> Vec<(f64, Figures)> {
        let mut commits: Vec<&(f64, i64, i64, Option<Order>)> = self.commits.iter().collect();
        commits.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let mut present: HashMap<i64, &Order> = HashMap::new();
        let mut figures = Figures::default();
        let mut timeline: Vec<(f64, Figures)> = vec![(0.0, figures.clone())];
        for (at, _, id, order) in commits {
            if let Some(before) = present.remove(id) {
                figures.add(before, -1);
            }
            if let Some(order) = order.as_ref().filter(|order| order.rep == Some(rep)) {
                figures.add(order, 1);
                present.insert(*id, order);
            }
            match timeline.last_mut() {
                Some(last) if last.0 == *at => last.1 = figures.clone(),
                Some(last) if last.1 != figures => timeline.push((*at, figures.clone())),
                _ => {}
            }
        }
        timeline
    }
}
