//! Who signs people on, and so what a session is: this service's own, or the host's.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;

use super::host_session::HostSessions;
use super::session::{Found, SessionKey, SignedIn, Swept, check_sessions};
use super::user::Role;
use crate::django::SecretKeys;
use crate::store::database::{BRIEFLY, Gather, Store, StoreError, lend};

/// For how long it is not noted again that a session is used.
const UNSEEN: Duration = Duration::from_secs(300);

/// Who signs people on.
#[derive(Debug, Clone)]
pub enum SignOn {
    /// This service. Sessions of the host are not looked at.
    Own,
    /// Django, whose sessions these keys tell. This service has none of its own then.
    Django(SecretKeys),
}

/// Looks sessions up: one statement for all that are asked for at the same time; two for the host's. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    host: Option<Arc<HostSessions>>,
    gather: Arc<Gather<SessionKey, Option<Found>>>,
    /// After how long one of ours ends that nobody uses, and how long it is not noted that it is used.
    idle: Duration,
    unseen: Duration,
}

impl Sessions {
    /// Looks them up in this store. One of ours ends when nobody uses it for so long.
    #[must_use]
    pub fn new(store: &Store, sign_on: &SignOn, idle: Duration) -> Self {
        let unseen = UNSEEN.min(idle / 6);
        let host = match sign_on {
            SignOn::Own => None,
            SignOn::Django(keys) => Some(Arc::new(HostSessions::new(keys.clone()))),
        };
        let gather = match host.clone() {
            None => Gather::new(store, move |client, sessions| check_sessions(client, sessions, unseen)),
            Some(host) => Gather::new(store, move |client, sessions| {
                let host = Arc::clone(&host);
                async move {
                    let users = host.look_up(client, sessions).await?.into_iter();
                    Ok(users.map(|user| Some(Found { user: user?, is_unseen: false })).collect())
                }
                .boxed()
            }),
        };
        Self { store: store.clone(), host, gather: Arc::new(gather), idle, unseen }
    }

    /// Who is signed in with that session, if it holds. Asking is using it.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn signed_in(&self, session: SessionKey) -> Result<Option<SignedIn>, StoreError> {
        let Some(Found { user, is_unseen }) = self.gather.ask(session).await? else { return Ok(None) };
        if is_unseen {
            let (store, unseen, idle) = (self.store.clone(), self.unseen, self.idle);
            // nobody waits for it, and the next request tries again
            tokio::spawn(async move {
                if let Err(error) = store.touch_session(session, unseen, idle).await {
                    tracing::debug!(error = error.chain(), "could not note that a session is used");
                }
            });
        }
        Ok(Some(user))
    }

    /// Deletes those of ours that do not hold any more.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn sweep(&self) -> Result<Vec<Swept>, StoreError> {
        if self.host.is_some() { Ok(Vec::new()) } else { self.store.sweep_sessions().await }
    }

    /// Which of the sessions are over, or no more of a user with one of the roles.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn ended(&self, sessions: &[SessionKey], roles: &[&str]) -> Result<Vec<SessionKey>, StoreError> {
        let Some(host) = &self.host else { return self.store.ended_sessions(sessions, roles).await };
        let client = self.store.client_for(BRIEFLY).await?;
        let look_up = async |client: &mut ClientWrapper| host.look_up(client, sessions).await;
        let holding = lend(client, look_up).await?;
        let has_role = |user: &SignedIn| roles.iter().any(|code| Role::of(code) == user.role);
        let over = sessions.iter().zip(holding).filter(|(_, user)| !user.as_ref().is_some_and(has_role));
        Ok(over.map(|(session, _)| *session).collect())
    }
}
