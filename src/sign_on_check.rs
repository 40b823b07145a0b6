//! Whether people can be signed on by the host: what the doctor and, at start, the log say of it.

use std::time::Duration;

use crate::config::{Django, SessionEngine};
use crate::django::SecretKeys;
use crate::store::{DatabaseUrl, Finding, HostSessionTable, HostSessionsSeen, SignOn, Store, StoreError, Verdict};

/// How soon a database that can't be reached at start is asked again.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

const SUBJECT: &str = "people are signed on by Django";

/// Looks at the host's sessions, where it is to sign people on.
pub async fn examine(url: &DatabaseUrl, django: &Django) -> Vec<Finding> {
    let keys = match django.sign_on() {
        Ok(SignOn::Own) => return Vec::new(),
        Ok(SignOn::Django(keys)) => keys,
        Err(error) => return vec![Finding::bad(SUBJECT, format!("{error:#}"))],
    };
    let findings = match Store::new(url.clone(), 2) {
        Ok(store) => findings(&store, &keys).await,
        Err(error) => Err(error),
    };
    findings.unwrap_or_else(|error| vec![Finding::bad(SUBJECT, error.chain())])
}

/// Says in the log who signs people on, and what stands in the way of it. A database that can't be reached is waited for.
pub async fn say_at_start(store: &Store, django: &Django, keys: &SecretKeys) {
    tracing::info!(
        keys = keys.count(),
        cookie = django.django_session_cookie,
        engine = match django.django_session_engine {
            SessionEngine::Db => "db",
            SessionEngine::CachedDb => "cached_db",
        },
        "people are signed on by Django: sessions are read from public.django_session, users from public.accounts_user"
    );
    let findings = loop {
        match findings(store, keys).await {
            Err(error) if error.is_outage() => tokio::time::sleep(RETRY_PAUSE).await,
            Err(error) => break vec![Finding::bad(SUBJECT, error.chain())],
            Ok(findings) => break findings,
        }
    };
    for finding in findings {
        match finding.verdict {
            Verdict::Good => {}
            Verdict::Warning(warning) => tracing::warn!("{SUBJECT}: {warning}"),
            Verdict::Problem(problem) => tracing::error!("{SUBJECT}: {problem}"),
        }
    }
}

/// What ops should know of the host that signs people on: why its sessions can't be read at all, if they can't, and what else may
/// keep people out. As a key that is wrong can't be told from one that was changed since the last person signed in, no key is a
/// reason not to serve.
///
/// # Errors
/// If the database can't be reached.
pub async fn readiness(store: &Store, keys: &SecretKeys) -> Result<(Result<(), String>, Vec<String>), StoreError> {
    let findings = match of_sessions(store, keys).await? {
        Ok(findings) => findings,
        Err(why) => return Ok((Err(why), Vec::new())),
    };
    let told = findings.into_iter().filter_map(|finding| match finding.verdict {
        Verdict::Good => None,
        Verdict::Warning(told) | Verdict::Problem(told) => Some(format!("{SUBJECT}: {told}")),
    });
    Ok((Ok(()), told.collect()))
}

async fn findings(store: &Store, keys: &SecretKeys) -> Result<Vec<Finding>, StoreError> {
    Ok(of_sessions(store, keys).await?.unwrap_or_else(|why| vec![Finding::bad(SUBJECT, why)]))
}

/// What the host's sessions are like, or why they can't be read.
async fn of_sessions(store: &Store, keys: &SecretKeys) -> Result<Result<Vec<Finding>, String>, StoreError> {
    Ok(match store.host_session_table().await? {
        HostSessionTable::Missing => Err("there is no table public.django_session: set Django's SESSION_ENGINE to \
                                          django.contrib.sessions.backends.db or cached_db, with django.contrib.sessions in \
                                          INSTALLED_APPS, and run its migrations"
            .to_owned()),
        HostSessionTable::Forbidden { grant } => {
            Err(format!("the role of --database-url may not read the sessions; as their owner run: {grant}"))
        }
        HostSessionTable::Readable { other_users } => {
            let mut findings: Vec<Finding> = other_users.iter().map(|table| of_other_users(table)).collect();
            findings.extend(of_rows(&store.host_sessions(keys).await?));
            Ok(findings)
        }
    })
}

fn of_other_users(table: &str) -> Finding {
    let told = format!(
        "Django's users are in {table}, by its AUTH_USER_MODEL, and this service reads public.accounts_user: a session would be \
         taken for that of whoever has the same id there, and is refused as the password is another one"
    );
    Finding::bad(SUBJECT, told)
}

fn of_rows(seen: &HostSessionsSeen) -> Vec<Finding> {
    let HostSessionsSeen { rows, wrong_key, pickles, unreadable, claims, confirmed } = *seen;
    if rows == 0 {
        let told = "public.django_session has no row that has not expired: nobody has signed in there yet, or Django's \
                    SESSION_ENGINE is neither db nor cached_db";
        return vec![Finding::warning(SUBJECT, told)];
    }
    if wrong_key == rows {
        let told = format!(
            "no configured key verifies the session rows (the newest {rows} were tried): is SECRET_KEY right? It must be the one \
             that Django runs with now"
        );
        return vec![Finding::bad(SUBJECT, told)];
    }
    let mut findings = Vec::new();
    if pickles > 0 {
        let told = format!(
            "{pickles} of the newest {rows} sessions are pickles, which are never read: set Django's SESSION_SERIALIZER to \
             django.contrib.sessions.serializers.JSONSerializer"
        );
        findings.push(Finding::bad(SUBJECT, told));
    }
    if claims > 0 && confirmed == 0 {
        let told = format!(
            "of the newest {rows} sessions {claims} are of somebody who signed in, and none has the hash of that user's present \
             password: another AUTH_USER_MODEL than that of public.accounts_user, or one with a get_session_auth_hash of its own, \
             can't be read here"
        );
        findings.push(Finding::bad(SUBJECT, told));
    }
    if wrong_key > 0 {
        let told = format!(
            "{wrong_key} of the newest {rows} sessions are signed with none of the configured keys: if Django has \
             SECRET_KEY_FALLBACKS, give them as well"
        );
        findings.push(Finding::warning(SUBJECT, told));
    }
    if unreadable > 0 {
        let told = format!("{unreadable} of the newest {rows} sessions are signed and can't be read");
        findings.push(Finding::warning(SUBJECT, told));
    }
    if findings.iter().all(|finding| finding.problem().is_none()) {
        findings.push(Finding::good(format!(
            "{SUBJECT}: {confirmed} of the newest {rows} sessions are of somebody who may"
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong, in the order of the findings; empty where something is right.
    fn said(seen: HostSessionsSeen) -> Vec<String> {
        let text = |finding: Finding| match finding.verdict {
            Verdict::Good => String::new(),
            Verdict::Warning(text) | Verdict::Problem(text) => text,
        };
        of_rows(&seen).into_iter().map(text).collect()
    }

    #[test]
    fn each_way_to_be_signed_on_by_nobody_is_told_from_the_others() {
        let good = HostSessionsSeen { rows: 9, claims: 5, confirmed: 4, ..HostSessionsSeen::default() };
        assert_eq!(said(good.clone()), [""]);
        for (seen, expected) in [
            (HostSessionsSeen::default(), "no row"),
            (HostSessionsSeen { rows: 9, wrong_key: 9, ..HostSessionsSeen::default() }, "is SECRET_KEY right?"),
            (HostSessionsSeen { pickles: 1, ..good.clone() }, "SESSION_SERIALIZER"),
            (HostSessionsSeen { confirmed: 0, ..good.clone() }, "AUTH_USER_MODEL"),
            (HostSessionsSeen { wrong_key: 3, ..good.clone() }, "SECRET_KEY_FALLBACKS"),
            (HostSessionsSeen { unreadable: 1, ..good }, "can't be read"),
        ] {
            let said = said(seen);
            assert!(said[0].contains(expected), "{expected}: {said:?}");
        }
    }
}
