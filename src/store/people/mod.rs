//! Users, their sessions, and what is kept for each of them.

mod bell;
mod host_session;
mod preferences;
mod saved_views;
mod session;
mod sign_in;
mod sign_on;
mod user;

pub use bell::{ListedChange, MOST_UNREAD, NEWEST_CHANGES, Newest};
pub use host_session::{HostSessionTable, HostSessionsSeen};
pub use preferences::{Account, MOST_MUTED, Mark, MuteOutcome, MutedOrder, Preferences, ReadUpto};
pub use saved_views::SavedView;
pub use session::{ListedSession, Person, SessionKey, Sight, SignedIn, Swept};
pub use sign_in::{Attempted, NewSession, Whom};
pub use sign_on::{Sessions, SignOn};
pub use user::{NewUser, Role, UserRecord};
