//! For ops: whether the process lives, whether it can serve, and its counters, on a listener of their own.

mod metrics;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::live::{ListenerState, Live};
use crate::routes::Routes;
use crate::sign_on_check;
use crate::store::{NAMING_TRIGGER, SchemaState, SignOn, Store, TriggerState};

/// How long the readiness check may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the ops routes look at.
#[derive(Clone)]
pub struct Ops {
    /// The database.
    pub store: Store,
    /// Listener and streams.
    pub live: Arc<Live>,
    /// Who signs people on.
    pub sign_on: SignOn,
    /// Cancelled once the service is stopping.
    pub stopping: CancellationToken,
}

/// What answers to the ops routes.
pub fn router(ops: Ops) -> Router {
    routes().into_router().with_state(ops)
}

/// The ops routes.
#[must_use]
pub fn routes() -> Routes<Ops> {
    Routes::new().get("/healthz", || async { "ok\n" }).get("/readyz", ready).get("/metrics", scrape)
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    database: String,
    tables: String,
    migrations: String,
    triggers: String,
    /// Whether every change is recorded, and those that were not are made up for, as the pages were told.
    recording: String,
    listener: String,
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
    sign_on: Result<(), String>,
    warnings: Vec<String>,
}

impl Found {
    /// The database does not answer, so that nothing else is known.
    fn nothing(why: &str) -> Self {
        let unknown = || Err("not known while the database is unavailable".to_owned());
        let [tables, migrations, triggers, sign_on] = [unknown(), unknown(), unknown(), unknown()];
        Self { database: Err(why.to_owned()), tables, migrations, triggers, sign_on, warnings: Vec::new() }
    }
}

async fn look(store: &Store, sign_on: &SignOn) -> Found {
    if let Err(error) = store.ping().await {
        return Found::nothing(&error.chain());
    }
    let tables = match store.recently_unsuitable_tables().await {
        Ok(faults) if faults.is_empty() => Ok(()),
        Ok(faults) => Err(faults.join("; ")),
        Err(error) => Err(error.chain()),
    };
    let mut warnings = Vec::new();
    match store.missing_grants(false).await {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => {
            let told = "the service's role lacks some rights, without which some of it fails; as the tables' owner run";
            warnings.push(format!("{told}: {}", missing.join(" ")));
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
    Found { database: Ok(()), tables, migrations, triggers, sign_on, warnings }
}

async fn ready(State(ops): State<Ops>) -> Response {
    let found = tokio::time::timeout(PATIENCE, look(&ops.store, &ops.sign_on)).await;
    let found = found.unwrap_or_else(|_| Found::nothing("no answer within 3 s"));
    let listener = match ops.live.hub.listener_state() {
        _ if ops.stopping.is_cancelled() => Err("stopping".to_owned()),
        ListenerState::Live => Ok(()),
        ListenerState::Degraded(why) => Err(why),
    };
    let Found { database, tables, migrations, triggers, sign_on, warnings } = found;
    let faults = ops.live.hub.faults();
    let recording = if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) };
    let checks = [&database, &tables, &migrations, &triggers, &recording, &listener, &sign_on];
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
        sign_on: matches!(ops.sign_on, SignOn::Django(_)).then(|| said(sign_on)),
        warnings,
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// In OpenMetrics for who asks for it, as Prometheus does; else in its older text format, which everything reads.
async fn scrape(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open = accepted.contains("application/openmetrics-text");
    let kind = if open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match metrics::encode(&ops.live) {
        Ok(text) => {
            let text = if open { text } else { metrics::as_plain_text(&text) };
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("could not encode the metrics: {error}\n")).into_response()
        }
    }
}
