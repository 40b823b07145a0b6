//! The sessions that the benchmark's reps have.

/// Streams that one session opens at most: the service replaces a session's oldest beyond 24.
pub const STREAMS_PER_SESSION: usize = 20;

/// The first of the many sessions of the rep with many orders. Those before it are of the reps of the same number.
pub const FIRST_OF_HOT_REP: u64 = 1_000_000;

/// The cookie of a session of Django's, which `bench/django/sessions.py` makes.
pub fn cookie_of_django(session: u64) -> String {
    format!("sessionid={session:032x}")
}

/// The cookie of a session.
pub fn cookie(session: u64) -> String {
    format!("oncare_live_session={session:064x}")
}
