//! What is not written to the log: what other crates say below a warning, and what comes again and again.
//!
//! Other crates write at their lower levels what people and the database sent: headers, and so cookies; statements with their
//! values; notices of triggers. None of that is anybody's business, so no filter brings it back.
//!
//! Whoever can make a line appear can make it appear without end. Of each line a few are written a minute, and of all lines of
//! one place in the code some more; of the rest only how many there were, after the minute or at the end. The security log's
//! refusals are told apart by what was refused to whom: a flood from one address leaves the others' lines their room, and one
//! from very many addresses is counted. That somebody signed in, and that a session ended, is never left out: each has cost the
//! hashing of a password, for which there are few places.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::security;

/// How long lines are counted before it is said how many were held back.
const PERIOD: Duration = Duration::from_secs(60);

/// What begins so is ours.
const OURS: &str = "oncare_live";

/// Tells of requests when they begin and end, with method, path, status and duration, and nothing that they bring.
const REQUESTS: &str = "tower_http::trace";

/// The fields of the security log that tell whom a line concerns, and what it is about.
const CONCERNS: [&str; 5] = ["outcome", "refused", "reason", "user", "address"];

/// Those that tell the kind.
const KINDS: [&str; 2] = ["outcome", "refused"];

/// The field that is only in what is said here.
const HELD_BACK: &str = "held_back";

/// How much of a line is kept, to know it again, in bytes.
const LONGEST_KEPT: usize = 400;

/// How many lines are written in a period: the same one, and all of one place.
#[derive(Clone, Copy)]
struct Most {
    same: u32,
    of_place: u32,
}

const USUALLY: Most = Most { same: 5, of_place: 50 };
const REFUSALS: Most = Most { same: 5, of_place: 200 };
/// Who wants to see details wants many.
const DETAILS: Most = Most { same: 100, of_place: 1_000 };

/// A layer under which lines are held back that come too often, and all that other crates say below a warning. All clones count
/// together.
#[derive(Clone, Default)]
pub struct Quiet(Arc<Mutex<HashMap<Place, Said>>>);

/// A place in the code. What comes by way of the `log` crate says by itself where it is from; of the security log each kind of
/// refusal is a place.
type Place = (tracing::callsite::Identifier, Option<String>);

/// What was said at one place in the present period.
struct Said {
    level: Level,
    is_security: bool,
    name: String,
    lines: HashMap<String, Count>,
    written: u32,
    /// Lines of which none was written.
    others: u64,
}

#[derive(Default)]
struct Count {
    written: u32,
    held_back: u64,
}

impl Said {
    /// Whether this line is written.
    fn takes(&mut self, line: String, most: Most) -> bool {
        let has_room = self.written < most.of_place;
        if !has_room && !self.lines.contains_key(&line) {
            self.others += 1;
            return false;
        }
        let count = self.lines.entry(line).or_default();
        let is_written = has_room && count.written < most.same;
        if is_written {
            count.written += 1;
            self.written += 1;
        } else {
            count.held_back += 1;
        }
        is_written
    }
}

impl Quiet {
    /// Says after each period what was held back in it, for as long as the process lives.
    pub fn tell_for_ever(&self) {
        let quiet = self.clone();
        let telling = move || loop {
            std::thread::sleep(PERIOD);
            quiet.tell();
        };
        // without it, lines are held back all the same, and told at the end
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(telling);
    }

    /// Says what was held back, and counts anew.
    pub fn tell(&self) {
        let places = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for said in places.into_values() {
            for (line, count) in said.lines.iter().filter(|(_, count)| count.held_back > 0) {
                tell(said.level, said.is_security, count.held_back, line);
            }
            if said.others > 0 {
                tell(said.level, said.is_security, said.others, &format!("others of {}", said.name));
            }
        }
    }
}

fn tell(level: Level, is_security: bool, held_back: u64, line: &str) {
    macro_rules! tell {
        ($level:expr) => {
            if is_security {
                tracing::event!(target: security::TARGET, $level, held_back, line, "said too often");
            } else {
                tracing::event!($level, held_back, line, "said too often");
            }
        };
    }
    match level {
        Level::ERROR => tell!(Level::ERROR),
        Level::WARN => tell!(Level::WARN),
        Level::INFO => tell!(Level::INFO),
        Level::DEBUG => tell!(Level::DEBUG),
        Level::TRACE => tell!(Level::TRACE),
    }
}

/// Whether a target's lines may be written at all levels.
#[must_use]
pub fn is_ours(target: &str) -> bool {
    let is_in = |room: &str| target.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    is_in(OURS) || is_in(REQUESTS) || target == security::TARGET
}

impl<S: Subscriber> Layer<S> for Quiet {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= Level::WARN || is_ours(metadata.target())
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_security = metadata.target() == security::TARGET;
        let level = *metadata.level();
        if metadata.fields().field(HELD_BACK).is_some() || is_security && level >= Level::INFO {
            return true;
        }
        let most = match level {
            _ if is_security => REFUSALS,
            Level::DEBUG | Level::TRACE => DETAILS,
            _ => USUALLY,
        };
        let mut read = Read { concerns_alone: is_security, ..Read::default() };
        event.record(&mut read);
        let Read { line, logged_at, .. } = read;
        let name = || {
            let place =
                format!("{}:{}", metadata.module_path().unwrap_or_default(), metadata.line().unwrap_or_default());
            logged_at.clone().unwrap_or(place)
        };
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = places.entry((metadata.callsite(), logged_at.clone())).or_insert_with(|| Said {
            level,
            is_security,
            name: name(),
            lines: HashMap::new(),
            written: 0,
            others: 0,
        });
        said.takes(line, most)
    }
}

/// Reads what a line says.
#[derive(Default)]
struct Read {
    /// Whether of the security log, of which only that is read which tells whom it concerns.
    concerns_alone: bool,
    line: String,
    logged_at: Option<String>,
}

impl Read {
    fn add(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        if let Some(part) = name.strip_prefix("log.") {
            if part == "target" || part == "line" {
                let logged_at = self.logged_at.get_or_insert_default();
                let _ = write!(logged_at, "{}{value:?}", if logged_at.is_empty() { "" } else { ":" });
            }
            return;
        }
        if self.concerns_alone && KINDS.contains(&name) {
            self.logged_at = Some(format!("{value:?}"));
        }
        if self.concerns_alone && !CONCERNS.contains(&name) || self.line.len() >= LONGEST_KEPT {
            return;
        }
        let space = if self.line.is_empty() { "" } else { " " };
        let _ = match name {
            "message" => write!(self.line, "{space}{value:?}"),
            name => write!(self.line, "{space}{name}={value:?}"),
        };
        if let Some((end, _)) = self.line.char_indices().find(|(end, _)| *end >= LONGEST_KEPT) {
            self.line.truncate(end);
        }
    }
}

impl Visit for Read {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::security::{By, Login, Refused, Security};

    fn said() -> Said {
        Said {
            level: Level::WARN,
            is_security: false,
            name: String::new(),
            lines: HashMap::new(),
            written: 0,
            others: 0,
        }
    }

    #[test]
    fn of_one_line_a_few_are_written_and_all_are_counted() {
        let mut place = said();
        let written = (0..1_000).filter(|_| place.takes("answered 503".to_owned(), USUALLY)).count();
        assert_eq!((written, place.lines["answered 503"].held_back, place.others), (5, 995, 0));
        assert!(place.takes("answered 500".to_owned(), USUALLY), "another line is written");
    }

    #[test]
    fn lines_that_are_all_different_have_an_end_too_and_little_is_kept_of_them() {
        let mut place = said();
        let written = (0..100_000).filter(|n| place.takes(format!("ping {n}"), USUALLY)).count();
        assert_eq!((written, place.lines.len(), place.others), (50, 50, 99_950));
        assert!(!place.takes("ping 1".to_owned(), USUALLY));
        assert_eq!(place.lines["ping 1"].held_back, 1);
    }

    /// Counts what is written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<HashMap<String, u32>>>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut read = Read { concerns_alone: true, ..Read::default() };
            event.record(&mut read);
            *self.0.lock().unwrap().entry(read.logged_at.unwrap_or_default()).or_default() += 1;
        }
    }

    #[test]
    fn no_kind_of_refusal_takes_the_room_of_another_and_what_succeeded_is_never_held_back() {
        let written = Written::default();
        let subscriber = tracing_subscriber::registry().with(Quiet::default()).with(written.clone());
        tracing::subscriber::with_default(subscriber, || {
            let security = Security::default();
            let by = |n: u32| By { address: Some(Ipv4Addr::from_bits(n).into()), ..By::default() };
            (0..1_000).for_each(|n| security.refused(Refused::CrossSite, by(n)));
            (0..1_000).for_each(|n| security.login(Login::UnknownUser, by(n)));
            (0..1_000).for_each(|_| security.login(Login::Crowded, by(1)));
            (0..1_000).for_each(|_| security.login(Login::SignedIn, by(1)));
            security.refused(Refused::Role, by(2));
        });
        let written = written.0.lock().unwrap();
        let counts =
            ["cross_site", "unknown_user", "crowded", "signed_in", "role"].map(|kind| written[&format!("{kind:?}")]);
        assert_eq!(counts, [200, 200, 5, 1_000, 1]);
    }

    #[test]
    fn other_crates_say_nothing_below_a_warning() {
        for (target, is) in [
            ("oncare_live", true),
            ("oncare_live::live::hub", true),
            ("security", true),
            ("tower_http::trace::on_response", true),
            ("oncare_live_of_another", false),
            ("h2::codec::framed_read", false),
            ("tokio_postgres::query", false),
            ("tower_http::compression", false),
        ] {
            assert_eq!(is_ours(target), is, "{target}");
        }
    }
}
