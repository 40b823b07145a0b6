//! Users, their sessions, and what is kept for each of them.

mod bell;
mod preferences;
mod saved_views;
mod session;
mod user;

pub use bell::{ListedChange, MOST_UNREAD, NEWEST_CHANGES, Newest};
pub use preferences::{Account, MOST_MUTED, Mark, MuteOutcome, MutedOrder, Preferences, ReadUpto};
pub use saved_views::SavedView;
pub use session::{SessionHash, Sessions, SignedIn};
pub use user::{NewUser, Role, UserRecord};
