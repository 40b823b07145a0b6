//! What an address asks for after its question mark.

use super::failure::Failure;
use crate::order::Scope;
use crate::store::SignedIn;

/// A page says whose orders it shows, and to whom: in its browser somebody else may be signed in by now, whose orders it must
/// not show, and whom it must not take for the other.
///
/// # Errors
/// If the page that asks was made for somebody else.
pub(crate) fn refuse_anothers(scope: Scope, user: &SignedIn, query: &str) -> Result<(), Failure> {
    let is_another = |parameter: &str, now: &str| last_value(query, parameter).is_some_and(|expected| expected != now);
    if is_another("rep", &scope.to_string()) || is_another("user", &user.id.to_string()) {
        return Err(Failure::NotSignedIn);
    }
    Ok(())
}

/// The value of a parameter; of a repeated one the last.
pub(crate) fn last_value(query: &str, parameter: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.filter(|(name, _)| name == parameter).last().map(|(_, value)| value)
}
