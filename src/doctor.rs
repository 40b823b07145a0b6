//! The diagnosis: what is wrong with the database or the configuration, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::{
    DatabaseUrl, Finding, Link, Progress, Store, StoreError, TriggerState, is_canary, oldest_supported_version,
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
    findings.push(notifications(url, &store).await);

    let pending = store.pending_migrations().await;
    if let Ok(pending) = &pending
        && !pending.is_empty()
    {
        let missing = pending.join(", ");
        findings.push(Finding::bad(
            "migrations",
            format!("{missing} missing; run oncare-live migrate as the tables' owner"),
        ));
        return Ok(());
    }
    // without a right on our schema, what was applied can't be read: that is told as what it is, a missing right
    let missing = store.missing_privileges().await?;
    if !missing.is_empty() {
        let grants: Vec<String> = missing.iter().map(|right| format!("grant {right} to <role>;")).collect();
        let told = format!("the role of --database-url lacks some; run: {}", grants.join(" "));
        findings.push(Finding::bad("privileges", told));
        return Ok(());
    }
    findings.push(Finding::good("privileges"));
    pending?;
    findings.push(Finding::good("migrations"));
    for (trigger, state) in store.triggers().await? {
        findings.push(trigger_finding(&trigger, state));
    }
    let changed = store.changed_functions().await?;
    findings.push(if changed.is_empty() {
        Finding::good("functions of schema live")
    } else {
        let told =
            format!("not those of this version: {}; run oncare-live migrate as the tables' owner", changed.join(", "));
        Finding::bad("functions of schema live", told)
    });
    let different = store.statistics_that_differ().await?;
    findings.push(if different.is_empty() {
        Finding::good("statistics equal the orders")
    } else {
        Finding::bad("statistics", format!("{}; run oncare-live migrate --rebuild-statistics", different.join("; ")))
    });
    let progress = store.progress().await?;
    findings.push(fold_finding(&progress));
    findings.push(timeline_finding(&progress));
    Ok(())
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
async fn notifications(url: &DatabaseUrl, store: &Store) -> Finding {
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
        store.send_canary(&nonce).await?;
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
    let what = match state {
        TriggerState::Current => return Finding::good(format!("trigger {trigger}")),
        TriggerState::Missing => "it is missing",
        TriggerState::Disabled => "it does not fire in every session",
        TriggerState::Changed => "it is not the one of this version",
    };
    Finding::bad(format!("trigger {trigger}"), format!("{what}, {REMEDY}"))
}
