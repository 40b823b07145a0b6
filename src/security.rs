//! The security log: who signed in, who did not, and which sessions ended, as structured lines of the target `security`, each
//! counted as well.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;

use crate::counted::{Label, Labelled};
use crate::order::UserId;

/// The log's target.
pub const TARGET: &str = "security";

/// How long no other refusal is said after one: nobody fills the log by asking again and again. All are counted.
const QUIET: Duration = Duration::from_secs(1);

/// What came of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Somebody signed in.
    SignedIn,
    /// The password was another.
    WrongPassword,
    /// Nobody has that name.
    UnknownUser,
    /// The user is not active.
    Inactive,
    /// The user has no password, or one whose hash can't be checked.
    NoPassword,
    /// After failures it was too early.
    TooEarly,
    /// Too many were under way.
    Crowded,
}

impl Login {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::SignedIn,
        Self::WrongPassword,
        Self::UnknownUser,
        Self::Inactive,
        Self::NoPassword,
        Self::TooEarly,
        Self::Crowded,
    ];

    /// As log and metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::WrongPassword => "wrong_password",
            Self::UnknownUser => "unknown_user",
            Self::Inactive => "inactive",
            Self::NoPassword => "no_password",
            Self::TooEarly => "too_early",
            Self::Crowded => "crowded",
        }
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its user signed out.
    SignedOut,
    /// Its browser signed in anew.
    Replaced,
    /// Its user ended it from another one.
    EndedByUser,
    /// An administrator ended it.
    EndedByAdmin,
    /// Its user was deactivated.
    Deactivated,
    /// Its user was deleted.
    Deleted,
    /// The password was changed.
    PasswordChanged,
    /// It was as old as a session may become.
    Expired,
    /// It was not used for too long.
    Idle,
}

impl End {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::SignedOut,
        Self::Replaced,
        Self::EndedByUser,
        Self::EndedByAdmin,
        Self::Deactivated,
        Self::Deleted,
        Self::PasswordChanged,
        Self::Expired,
        Self::Idle,
    ];

    /// As log, metrics and statements have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Replaced => "replaced",
            Self::EndedByUser => "ended_by_user",
            Self::EndedByAdmin => "ended_by_admin",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
            Self::PasswordChanged => "password_changed",
            Self::Expired => "expired",
            Self::Idle => "idle",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.name() == name)
    }
}

/// How often each was said.
#[derive(Debug, Default)]
pub struct Security {
    logins: Labelled<Login>,
    ends: Labelled<End>,
    refusals: Mutex<Refusals>,
}

/// Refusals without a look at the password, which cost nothing and so may be many.
#[derive(Debug, Default)]
struct Refusals {
    said_at: Option<Instant>,
    unsaid: u64,
}

impl Security {
    /// Somebody tried to sign in. The name that was given is not said, unless there is such a user: people type their passwords
    /// into the wrong field.
    pub fn login(&self, login: Login, user: Option<(UserId, &str)>, address: IpAddr) {
        self.logins.of(login).inc();
        let mut unsaid = None;
        if matches!(login, Login::TooEarly | Login::Crowded) {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if refusals.said_at.is_some_and(|at| at.elapsed() < QUIET) {
                refusals.unsaid += 1;
                return;
            }
            refusals.said_at = Some(Instant::now());
            unsaid = Some(std::mem::take(&mut refusals.unsaid));
        }
        let outcome = login.name();
        let (user, name) = user.map_or((None, None), |(id, name)| (Some(id.0), Some(name)));
        match login {
            Login::SignedIn => tracing::info!(target: TARGET, outcome, user, name, %address, "login"),
            _ => tracing::warn!(target: TARGET, outcome, user, name, %address, refused_unsaid = unsaid, "login"),
        }
    }

    /// A session ended.
    pub fn ended(&self, end: End, user: UserId) {
        self.ends.of(end).inc();
        tracing::info!(target: TARGET, reason = end.name(), user = user.0, "session ended");
    }

    /// Has both in the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.logins.register(registry, "logins", "Attempts to sign in, by what came of them");
        self.ends.register(registry, "sessions_ended", "Sessions ended, by the reason");
    }
}

impl Label for Login {
    const KEY: &'static str = "outcome";
    const KNOWN: &'static [Self] = &Self::ALL;

    fn value(self) -> &'static str {
        self.name()
    }
}

impl Label for End {
    const KEY: &'static str = "reason";
    const KNOWN: &'static [Self] = &Self::ALL;

    fn value(self) -> &'static str {
        self.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_refusals_one_is_said_a_second_and_all_are_counted() {
        let security = Security::default();
        for _ in 0..1_000 {
            security.login(Login::Crowded, None, [192, 0, 2, 1].into());
        }
        let held = |security: &Security| security.refusals.lock().unwrap().unsaid;
        assert!((security.logins.of(Login::Crowded).get(), held(&security)) == (1_000, 999));
        security.refusals.lock().unwrap().said_at = Instant::now().checked_sub(QUIET);
        security.login(Login::TooEarly, None, [192, 0, 2, 1].into());
        assert_eq!(held(&security), 0, "the next line says how many there were");
    }

    #[test]
    fn every_end_is_known_by_its_name() {
        assert!(End::ALL.into_iter().all(|end| End::of(end.name()) == Some(end)));
        assert_eq!(End::of("other"), None);
    }
}
