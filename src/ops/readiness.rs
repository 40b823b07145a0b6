//! Whether the service can serve, and if not, which of what it needs is missing.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::parts::Ops;
use crate::live::ListenerState;
use crate::sign_on_check;
use crate::store::{NAMING_TRIGGER, SchemaState, SignOn, TriggerState};

/// How long the check may take.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    database: String,
    tables: String,
    migrations: String,
    triggers: String,
    /// Whether every change is recorded, and those that were not are made up for, as the pages were told.
    recording: String,
    /// Whether the canary came back.
    listener: String,
    /// Whether the listener reads in the present life of the database.
    epoch: String,
    /// Whether the server's disk takes what is written.
    disk: String,
    /// Whether the host's sessions can be read, where it signs people on.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_on: Option<String>,
    /// What somebody should know though it serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// What was found in the database: each is well, or not for a reason.
struct Found {
    database: Result<(), String>,
    tables: Result<(), String>,
    migrations: Result<(), String>,
    triggers: Result<(), String>,
    epoch: Result<(), String>,
    disk: Result<(), String>,
    sign_on: Result<(), String>,
    warnings: Vec<String>,
}

impl Found {
    /// The database does not answer, so that nothing else is known.
    fn nothing(why: &str) -> Self {
        let unknown = || Err("not known while the database is unavailable".to_owned());
        let [tables, migrations, triggers, epoch] = [unknown(), unknown(), unknown(), unknown()];
        let (disk, sign_on) = (unknown(), unknown());
        Self { database: Err(why.to_owned()), tables, migrations, triggers, epoch, disk, sign_on, warnings: Vec::new() }
    }
}

/// What lists and figures are read from, and who asks for them.
const LISTED: [&str; 9] = [
    "public.orders_order",
    "public.orders_orderitem",
    "public.accounts_user",
    "live.session",
    "live.incarnation",
    "live.fold",
    "live.order_stats",
    "live.order_event",
    "live.truncation",
];

/// Whether nobody could read any list where this is missing.
fn is_needed_for_lists(grant: &str) -> bool {
    let Some((privilege, of)) = grant.strip_prefix("grant ").and_then(|right| right.split_once(" on ")) else {
        return false;
    };
    let relation = of.split(' ').next().unwrap_or_default();
    let is_read = privilege == "select" || privilege.starts_with("select (");
    is_read && LISTED.contains(&relation) || privilege == "usage" && of.starts_with("schema ") || privilege == "execute"
}

async fn look(Ops { store, live, sign_on, disk, .. }: &Ops) -> Found {
    if let Err(error) = store.ping().await {
        return Found::nothing(&error.chain());
    }
    let mut tables = match store.recently_unsuitable_tables().await {
        Ok(faults) if faults.is_empty() => Ok(()),
        Ok(faults) => Err(faults.join("; ")),
        Err(error) => Err(error.chain()),
    };
    let mut warnings = Vec::new();
    match store.missing_grants(false).await {
        Ok(missing) => {
            let (needed, rest): (Vec<_>, Vec<_>) = missing.into_iter().partition(|grant| is_needed_for_lists(grant));
            if !needed.is_empty() && tables.is_ok() {
                let told =
                    "the service's role lacks rights without which no list can be read; as the tables' owner run";
                tables = Err(format!("{told}: {}", needed.join(" ")));
            }
            if !rest.is_empty() {
                let told =
                    "the service's role lacks some rights, without which some of it fails; as the tables' owner run";
                warnings.push(format!("{told}: {}", rest.join(" ")));
            }
        }
        Err(error) => warnings.push(error.chain()),
    }
    let mut is_newer = false;
    let migrations = match store.schema().await {
        Ok(SchemaState::Current) => Ok(()),
        Ok(SchemaState::Behind(pending)) => Err(format!("{} missing: run oncare-live migrate", pending.join(", "))),
        Ok(SchemaState::Newer(unknown)) => {
            is_newer = true;
            warnings
                .push(format!("the schema is of a newer version, with {}: update this instance", unknown.join(", ")));
            Ok(())
        }
        Err(error) => Err(error.chain()),
    };
    let triggers = match store.triggers().await {
        // which triggers a newer version has is not known here
        _ if is_newer => Ok(()),
        Ok(triggers) => {
            let said = |(name, state): &(String, TriggerState)| Some(format!("{name}: {}", state.fault()?));
            let (naming, recording): (Vec<_>, Vec<_>) = triggers.iter().partition(|(name, _)| name == NAMING_TRIGGER);
            warnings.extend(
                naming
                    .into_iter()
                    .filter_map(said)
                    .map(|fault| format!("{fault}; who changed an order may not be told: run oncare-live migrate")),
            );
            let faults: Vec<String> = recording.into_iter().filter_map(said).collect();
            let told = || format!("{}; changes go unnoticed: run oncare-live migrate", faults.join(", "));
            if faults.is_empty() { Ok(()) } else { Err(told()) }
        }
        Err(error) => Err(error.chain()),
    };
    if let Ok(strangers) = store.sleep_lock_strangers().await {
        warnings.extend(strangers.iter().map(ToString::to_string));
    }
    let epoch = match store.present().await {
        Ok(present) if live.hub.is_elsewhere(&present) => {
            Err("the listener has not come to the present life of the database yet".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.chain()),
    };
    let room = store.room_on_disk().await;
    disk.found(&room);
    let disk = room.map_err(|error| error.chain());
    let sign_on = match sign_on {
        SignOn::Own => Ok(()),
        SignOn::Django(keys) => match sign_on_check::readiness(store, keys).await {
            Ok((readable, told)) => {
                warnings.extend(told);
                readable
            }
            Err(error) => Err(error.chain()),
        },
    };
    Found { database: Ok(()), tables, migrations, triggers, epoch, disk, sign_on, warnings }
}

pub(super) async fn ready(State(ops): State<Ops>) -> Response {
    let is_starting = !ops.serving.initialized();
    let found = tokio::time::timeout(PATIENCE, look(&ops)).await;
    let found = found.unwrap_or_else(|_| {
        Found::nothing(&ops.store.exhaustion().unwrap_or_else(|| "no answer within 3 s".to_owned()))
    });
    let listener = match ops.live.hub.listener_state() {
        _ if ops.stopping.is_cancelled() => Err("stopping".to_owned()),
        _ if is_starting => Err("starting".to_owned()),
        ListenerState::Live => Ok(()),
        ListenerState::Degraded(why) => Err(why),
    };
    let Found { database, tables, migrations, triggers, epoch, disk, sign_on, warnings } = found;
    let faults = ops.live.hub.faults();
    let recording = if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) };
    let checks = [&database, &tables, &migrations, &triggers, &recording, &listener, &epoch, &disk, &sign_on];
    let ready = checks.iter().all(|check| check.is_ok());
    let said = |check: Result<(), String>| check.map_or_else(|why| why, |()| "ok".to_owned());
    let readiness = Readiness {
        ready,
        database: said(database),
        tables: said(tables),
        migrations: said(migrations),
        triggers: said(triggers),
        recording: said(recording),
        listener: said(listener),
        epoch: said(epoch),
        disk: said(disk),
        sign_on: matches!(ops.sign_on, SignOn::Django(_)).then(|| said(sign_on)),
        warnings,
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}
