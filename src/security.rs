//! The security log: who signed in, who did not, what was refused to whom, and which sessions ended by whom, as structured lines
//! of the target `security`, each counted as well.
//!
//! What succeeded is an `info`, what was refused a `warn`. All are counted; how many refusals are written is limited where the
//! log is written (`log/quiet.rs`), as they cost whoever causes them nothing.

use std::net::IpAddr;

use prometheus_client::registry::Registry;

use crate::counted::{Label, Labelled};
use crate::order::UserId;

/// The log's target.
pub const TARGET: &str = "security";

/// How much of a path is said, in characters.
const LONGEST_PATH: usize = 200;

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

/// What was refused besides logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The user's role may not do that.
    Role,
    /// An order that is not the rep's, or that there is not: nothing tells these apart, so neither does the log.
    Order,
    /// Another site had a browser send it.
    CrossSite,
    /// Too many requests of one user, or streams of all. Connections that are refused are counted where they are accepted.
    TooMany,
}

impl Refused {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Role, Self::Order, Self::CrossSite, Self::TooMany];

    /// As log and metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Order => "order",
            Self::CrossSite => "cross_site",
            Self::TooMany => "too_many",
        }
    }
}

/// Who did something, and from where, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct By<'a> {
    /// The user, with a name that exists: what somebody typed may be a password.
    pub user: Option<(UserId, &'a str)>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What was asked for.
    pub path: Option<&'a str>,
    /// The command that was given.
    pub command: Option<&'a str>,
}

impl<'a> By<'a> {
    /// By somebody who is signed in.
    #[must_use]
    pub fn user(user: (UserId, &'a str), address: IpAddr, path: &'a str) -> Self {
        Self { user: Some(user), address: Some(address), path: Some(path), command: None }
    }

    /// By whoever may give the service's commands.
    #[must_use]
    pub fn command(command: &'a str) -> Self {
        Self { command: Some(command), ..Self::default() }
    }

    fn name(self) -> Option<&'a str> {
        self.user.map(|(_, name)| name)
    }

    fn id(self) -> Option<i64> {
        self.user.map(|(id, _)| id.0)
    }

    fn address(self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }

    fn path(self) -> Option<&'a str> {
        self.path.map(beginning)
    }
}

/// Somebody who is signed in and may do what they ask for, in the extensions of their request.
#[derive(Debug, Clone)]
pub struct Doer {
    /// Who.
    pub user: UserId,
    /// Their login.
    pub name: String,
    /// From where.
    pub address: IpAddr,
}

/// As much of a path as the log has of it: whoever asks may ask for a very long one.
#[must_use]
pub fn beginning(path: &str) -> &str {
    path.char_indices().nth(LONGEST_PATH).map_or(path, |(end, _)| &path[..end])
}

/// How often each was said.
#[derive(Debug, Default)]
pub struct Security {
    logins: Labelled<Login>,
    refused: Labelled<Refused>,
    ends: Labelled<End>,
}

impl Security {
    /// Somebody tried to sign in. The name that was given is not said, unless there is such a user: people type their passwords
    /// into the wrong field.
    pub fn login(&self, login: Login, by: By<'_>) {
        self.logins.of(login).inc();
        let (outcome, user, name, address, path) = (login.name(), by.id(), by.name(), by.address(), by.path());
        match login {
            Login::SignedIn => tracing::info!(target: TARGET, outcome, user, name, address, path, "login"),
            _ => tracing::warn!(target: TARGET, outcome, user, name, address, path, "login"),
        }
    }

    /// Somebody did something to the running service: `to` a user, where it concerns one.
    pub fn administered(&self, deed: &str, to: Option<UserId>, doer: &Doer) {
        let (user, name, address) = (doer.user.0, doer.name.as_str(), doer.address.to_string());
        let to = to.map(|user| user.0);
        tracing::info!(target: TARGET, deed, to, user, name, address, "administered");
    }

    /// Something was refused.
    pub fn refused(&self, refused: Refused, by: By<'_>) {
        self.refused.of(refused).inc();
        let (refused, user, name, address, path) = (refused.name(), by.id(), by.name(), by.address(), by.path());
        tracing::warn!(target: TARGET, refused, user, name, address, path, "refused");
    }

    /// A session ended: whose, and by whom, if it was not the service that found it over.
    pub fn ended(&self, end: End, (user, name): (UserId, Option<&str>), by: By<'_>) {
        self.ends.of(end).inc();
        let (address, path, command) = (by.address(), by.path(), by.command);
        let (by_user, by_name) = (by.id(), by.name());
        tracing::info!(
            target: TARGET,
            reason = end.name(),
            user = user.0,
            name,
            by_user,
            by_name,
            address,
            path,
            command,
            "session ended"
        );
    }

    /// Has all in the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.logins.register(registry, "logins", "Attempts to sign in, by what came of them");
        let help = "Requests refused, by what they lacked: a role, an order of one's own, a page of this site; or because of a limit";
        self.refused.register(registry, "refusals", help);
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

impl Label for Refused {
    const KEY: &'static str = "refused";
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
    fn every_end_is_known_by_its_name() {
        assert!(End::ALL.into_iter().all(|end| End::of(end.name()) == Some(end)));
        assert_eq!(End::of("other"), None);
    }

    #[test]
    fn of_a_long_path_the_beginning_is_said() {
        let path = "/ä".repeat(150);
        let by = By { path: Some(&path), ..By::default() };
        assert_eq!(by.path().unwrap().chars().count(), LONGEST_PATH);
        assert_eq!(By { path: Some("/ä"), ..By::default() }.path(), Some("/ä"));
    }
}
