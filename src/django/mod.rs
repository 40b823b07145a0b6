//! What Django (3.2 to 6.0) writes of who is signed in, and how it is told that it was Django who wrote it. Nothing here reads a
//! database or a request.

mod keys;
mod mac;
mod session;

pub use keys::{InvalidKeys, SecretKeys};
pub use session::{Claim, LARGEST_ROW, Refusal};
