//! The diagnosis: what is wrong with the database or the configuration, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::{
    BYPASSED, Cost, DatabaseUrl, Finding, Link, NAMING_TRIGGER, Progress, SchemaState, Store, StoreError, TriggerState,
    is_canary, oldest_supported_version,
};

/// How long a notification may take to come back.
const NOTIFICATION_PATIENCE: Duration = Duration::from_secs(3);

/// How long events may wait for the background work of an instance until that is told.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(600);

/// Looks at everything. Each finding says what to do, if anything is wrong; what can't be looked at because of an
/// earlier finding is left out.
pub async fn examine(url: &DatabaseUrl) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = examine_into(url, &mut findings).await {
        findings.push(Finding::bad("the examination", format!("{}; mend this and examine again", error.chain())));
    }
    findings
}

/// Measures what the triggers and the index add to an update of an order.
pub async fn cost(url: &DatabaseUrl) -> Vec<Finding> {
    let subject = "the cost of an update";
    let measured = match Store::new(url.clone(), 2) {
        Ok(store) => store.cost().await,
        Err(error) => Err(error),
    };
    match measured {
        Ok(Some(cost)) => added_cost(&cost),
        Ok(None) => vec![Finding::warning(subject, "there are no orders to measure it with")],
        Err(error) => vec![Finding::warning(subject, format!("{}; measure it as the tables' owner", error.chain()))],
    }
}

/// Whether forms of the service's own can do their work, and what they bypass.
pub async fn own_forms(url: &DatabaseUrl, bypass_django: bool) -> Vec<Finding> {
    let subject = "own forms";
    let looked = async {
        let store = Store::new(url.clone(), 2)?;
        let mut findings: Vec<Finding> = Vec::new();
        if bypass_django && store.has_django().await? {
            let told = format!(
                "Django manages this database, and changes made by them bypass its code: {BYPASSED} do not follow"
            );
            findings.push(Finding::warning(subject, told));
        }
        let obstacles = store.form_obstacles(bypass_django).await?;
        findings.extend(obstacles.into_iter().map(|obstacle| Finding::bad(subject, obstacle)));
        Ok::<_, StoreError>(findings)
    };
    match looked.await {
        Ok(findings) if findings.is_empty() => vec![Finding::good(subject)],
        Ok(findings) => findings,
        Err(error) => vec![Finding::bad(subject, error.chain())],
    }
}

fn added_cost(cost: &Cost) -> Vec<Finding> {
    let Cost { bare, indexed, attached, without_covered, covered, updates } = cost;
    let micros = |duration: &Duration| duration.as_secs_f64() * 1e6;
    let added = |from: &Duration, to: &Duration| micros(to) - micros(from);
    let mut findings = vec![Finding::good(format!(
        "the cost of an update of an order: {:.0} µs with your own indexes alone, {:+.0} µs by the lists' index, {:+.0} µs by the \
         triggers (medians of {updates} updates, measured on copies and without their commits)",
        micros(bare),
        added(bare, indexed),
        added(indexed, attached),
    ))];
    if !covered.is_empty() {
        findings.push(Finding::warning(
            "indexes",
            format!(
                "the lists' index begins as {} and serves what {} for; without {} an update of an order takes {:.0} µs \
                 instead of {:.0} µs",
                covered.join(", "),
                if covered.len() == 1 { "it is there" } else { "they are there" },
                if covered.len() == 1 { "it" } else { "them" },
                micros(without_covered),
                micros(attached),
            ),
        ));
    }
    findings
}

async fn examine_into(url: &DatabaseUrl, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
    let store = Store::new(url.clone(), 2)?;
    let (number, version, standby) = match store.server().await {
        Ok(server) => server,
        Err(error) => {
            findings.push(Finding::bad(
                format!("connection to {url}"),
                format!(
                    "{}; check host, port, database, user, password and sslmode of --database-url; if a transaction \
                     pooler stands between, name the server itself",
                    error.chain()
                ),
            ));
            return Ok(());
        }
    };
    findings.push(Finding::good(format!("connection to {url}")));
    findings.push(if number >= oldest_supported_version() {
        Finding::good(format!("server version {version}"))
    } else {
        Finding::bad(format!("server version {version}"), "PostgreSQL 13 or newer is needed; upgrade the server")
    });
    if standby {
        findings.push(Finding::bad(
            "the server is a standby",
            "name the primary in --database-url, or add target_session_attrs=read-write to it",
        ));
        return Ok(());
    }
    findings.push(Finding::good("the server is a primary"));
    findings.push(notifications(url).await);

    // before anything is read there, which would run what hangs on it
    let strange = store.strangers_things().await?;
    if !strange.is_empty() {
        findings.push(Finding::bad(
            "schema live",
            format!(
                "{}; what is there runs with the rights of whoever migrates and serves: take it away, or give it to the owner of the \
                 orders' table, or revoke what it may",
                strange.join(", ")
            ),
        ));
        return Ok(());
    }
    let schema = store.schema().await;
    match &schema {
        Ok(SchemaState::Behind(pending)) => {
            findings.push(tables(&store).await?);
            findings.push(Finding::bad(
                "migrations",
                format!("{} missing; run oncare-live migrate as the tables' owner", pending.join(", ")),
            ));
            return Ok(());
        }
        Ok(SchemaState::Newer(unknown)) => {
            findings.push(Finding::bad(
                "migrations",
                format!(
                    "schema live is of a newer version of oncare-live, with {}: use that one. This one may serve until then, \
                     and must not migrate",
                    unknown.join(", ")
                ),
            ));
            return Ok(());
        }
        Ok(SchemaState::Current) | Err(_) => {}
    }
    // without a right on our schema, what was applied can't be read: that is told as what it is, a missing right
    let missing = store.missing_grants(false).await?;
    if !missing.is_empty() {
        let told = format!("the role of --database-url lacks some; as the tables' owner run: {}", missing.join(" "));
        findings.push(Finding::bad("privileges", told));
        return Ok(());
    }
    findings.push(Finding::good("privileges"));
    schema?;
    findings.push(Finding::good("migrations"));
    findings.push(tables(&store).await?);
    for (trigger, state) in store.triggers().await? {
        findings.push(trigger_finding(&trigger, state));
    }
    findings.extend(recording(&store).await?);
    let changed = store.changed_functions().await?;
    findings.push(if changed.is_empty() {
        Finding::good("functions of schema live")
    } else {
        let told =
            format!("not those of this version: {}; run oncare-live migrate as the tables' owner", changed.join(", "));
        Finding::bad("functions of schema live", told)
    });
    findings.push(if store.has_list_index().await? {
        Finding::good("the lists' index")
    } else {
        Finding::bad(
            "the lists' index",
            "it is missing or incomplete, so that lists are slow; run oncare-live migrate as the tables' owner: it builds it \
             again, and no writer waits for that",
        )
    });
    findings.push(statistics(&store).await?);
    let progress = store.progress().await?;
    findings.push(fold_finding(&progress));
    findings.push(timeline_finding(&progress));
    findings.extend(listening(&store).await?);
    Ok(())
}

/// The tables of the existing system.
async fn tables(store: &Store) -> Result<Finding, StoreError> {
    let subject = "the OnCare tables";
    let problems = store.unsuitable_tables().await?;
    Ok(if problems.is_empty() {
        Finding::good(subject)
    } else {
        Finding::bad(subject, format!("{}; without that the service fails or misses changes", problems.join("; ")))
    })
}

/// What the triggers could not read, and nobody has made up for.
async fn recording(store: &Store) -> Result<Option<Finding>, StoreError> {
    let unreadable = store.recording().await?.and_then(|recording| recording.unreadable);
    Ok(unreadable.map(|reason| {
        Finding::bad(
            "recording of changes",
            format!(
                "a trigger could not read a change ({reason}): statistics are counted from the orders until they are built anew, \
                 which a running instance does by itself once the columns are what they must be"
            ),
        )
    }))
}

/// Compared with the orders, where this role sees all of them.
async fn statistics(store: &Store) -> Result<Finding, StoreError> {
    let hidden = store.hidden_tables().await?;
    if !hidden.is_empty() {
        return Ok(Finding::bad(
            "row-level security",
            format!(
                "it may hide rows of {} from the role of --database-url: lists and statistics lack what it hides, and the \
                 two can't be compared. Give the role a policy for select with using (true), or the attribute bypassrls",
                hidden.join(", ")
            ),
        ));
    }
    let different = store.statistics_that_differ().await?;
    Ok(if different.is_empty() {
        Finding::good("statistics equal the orders")
    } else {
        Finding::bad("statistics", format!("{}; run oncare-live migrate --rebuild-statistics", different.join("; ")))
    })
}

/// What stands in the way of listeners that sleep, and of writers that then notify them.
async fn listening(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let subject = "the lock by which listeners sleep";
    let strangers = store.sleep_lock_strangers().await?;
    if strangers.is_empty() {
        return Ok(vec![Finding::good(subject)]);
    }
    Ok(strangers.iter().map(|stranger| Finding::warning(subject, stranger.to_string())).collect())
}

fn fold_finding(progress: &Progress) -> Finding {
    match progress.unfolded {
        Some(age) if age > BACKGROUND_PATIENCE => Finding::bad(
            "fold of the statistics",
            format!(
                "events have waited {} min to be folded, and every reader of statistics adds them up; start an instance of \
                 oncare-live serve; if one runs, its log and its metric oncare_live_background_failures_total say why it \
                 can't",
                age.as_secs() / 60
            ),
        ),
        _ => Finding::good("fold of the statistics"),
    }
}

fn timeline_finding(progress: &Progress) -> Finding {
    let subject = "timelines of the orders";
    let waiting = if progress.is_far_behind() {
        format!("more than {} events wait", progress.waiting - 1)
    } else {
        format!("{} events wait", progress.waiting)
    };
    let is_late = progress.unentered.is_some_and(|age| age > BACKGROUND_PATIENCE);
    if !is_late {
        return Finding::good(format!("{subject}: {waiting}"));
    }
    let remedy = if progress.is_held_up {
        "a transaction that began before them is still open: end it (pg_stat_activity and pg_prepared_xacts have it)"
    } else {
        "start an instance of oncare-live serve; if one runs, its log and its metric \
         oncare_live_background_failures_total say why it can't"
    };
    let told = format!("{waiting} to be entered, and whoever opens an order's page reads through them; {remedy}");
    Finding::bad(subject, told)
}

/// Listens on one connection and notifies on another, as the service does.
async fn notifications(url: &DatabaseUrl) -> Finding {
    let subject = "LISTEN and NOTIFY end to end";
    let heard = Arc::new(Notify::new());
    let nonce = format!("doctor-{:032x}", rand::random::<u128>());
    let attempt = async {
        let (bell, expected) = (Arc::clone(&heard), nonce.clone());
        let link = Link::open(url, "doctor", move |channel, payload| {
            if is_canary(channel) && payload == expected {
                bell.notify_one();
            }
        })
        .await?;
        link.listen_for_orders().await?;
        Link::open(url, "doctor", |_, _| {}).await?.send_canary(&nonce).await?;
        Ok::<bool, StoreError>(tokio::time::timeout(NOTIFICATION_PATIENCE, heard.notified()).await.is_ok())
    };
    match attempt.await {
        Ok(true) => Finding::good(subject),
        Ok(false) => Finding::bad(
            subject,
            "a notification did not come back within 3 s: a transaction pooler such as PgBouncer stands between; give \
             --database-url the server's own address, or a pooler's session mode",
        ),
        Err(error) => Finding::bad(
            subject,
            format!("{}; if a pooler stands between, give --database-url the server's own address", error.chain()),
        ),
    }
}

fn trigger_finding(trigger: &str, state: TriggerState) -> Finding {
    const REMEDY: &str = "so changes go unnoticed; run oncare-live migrate as the tables' owner: it puts the trigger back and \
                          builds the statistics anew";
    let Some(what) = state.fault() else { return Finding::good(format!("trigger {trigger}")) };
    if trigger == NAMING_TRIGGER {
        let what =
            format!("{what}, so who changed an order may not be told; run oncare-live migrate as the tables' owner");
        return Finding::warning(format!("trigger {trigger}"), what);
    }
    Finding::bad(format!("trigger {trigger}"), format!("{what}, {REMEDY}"))
}
