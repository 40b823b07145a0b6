//! Who signs people on, and so what a session is: this service's own, or the host's.

use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;

use super::host_session::HostSessions;
use super::session::{SessionKey, SignedIn, check_sessions};
use super::user::Role;
use crate::django::SecretKeys;
use crate::store::database::{BRIEFLY, Gather, Store, StoreError, lend};

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
    gather: Arc<Gather<SessionKey, Option<SignedIn>>>,
}

impl Sessions {
    /// Looks them up in this store.
    #[must_use]
    pub fn new(store: &Store, sign_on: &SignOn) -> Self {
        let host = match sign_on {
            SignOn::Own => None,
            SignOn::Django(keys) => Some(Arc::new(HostSessions::new(keys.clone()))),
        };
        let gather = match host.clone() {
            None => Gather::new(store, check_sessions),
            Some(host) => Gather::new(store, move |client, sessions| {
                let host = Arc::clone(&host);
                async move { host.look_up(client, sessions).await }.boxed()
            }),
        };
        Self { store: store.clone(), host, gather: Arc::new(gather) }
    }

    /// Who is signed in with that session, if it holds.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn signed_in(&self, session: SessionKey) -> Result<Option<SignedIn>, StoreError> {
        self.gather.ask(session).await
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
