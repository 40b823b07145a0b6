//! What the server says when it refuses something, without anybody's data.
//!
//! PostgreSQL puts values into what it says: DETAIL has whole rows, CONTEXT statements with what was put into them, HINT and the
//! message itself whatever a trigger of the host's writes there. So nothing of it goes on but names that only a definition gives
//! (tables, columns, constraints, functions) and messages that can have nothing else in them: of our own statements, in which
//! every value is a parameter, and of our own functions.

use std::error::Error;
use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

/// Longest name of a function that is passed on, in characters.
const LONGEST_FUNCTION: usize = 200;

/// The conditions whose message names things and no values, where no function was under way: a feature, authentication, roles,
/// databases, transactions, resources, what the server itself goes through, a right, and what is there already.
const NAMING: [&str; 15] =
    ["08", "0A", "25", "28", "2B", "3D", "40", "42501", "42710", "42P07", "53", "54", "55", "57", "58"];

/// Those whose message names what a statement names, or a value that was to be such a name. It is the former where the message
/// says at which place of the statement.
const NAMING_BY_STATEMENT: [&str; 2] = ["3F", "42"];

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerSaid {
    state: SqlState,
    /// `ERROR` or `FATAL`, in the server's language.
    severity: String,
    /// Its own words, where there can't be a value in them.
    message: Option<String>,
    /// The rule that was broken.
    rule: Option<Rule>,
    /// The function in which it happened.
    function: Option<String>,
    /// Whether it is a connection of which there are too many, and whose.
    crowd: Option<Crowd>,
}

/// Whose connections are too many, where no further one is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowd {
    Server,
    Database,
    Role,
}

impl Crowd {
    /// All three have the same state, and the message is in the server's language.
    fn of(said: &DbError) -> Option<Self> {
        (*said.code() == SqlState::TOO_MANY_CONNECTIONS).then(|| match said.routine() {
            Some("InitializeSessionUserId") => Self::Role,
            Some("CheckMyDatabase") => Self::Database,
            _ => Self::Server,
        })
    }
}

/// What a database lacks that has not been migrated, or of which somebody took something away or renamed it.
const MISSING: [SqlState; 4] = [
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::UNDEFINED_COLUMN,
    SqlState::INVALID_SCHEMA_NAME,
];

/// A rule that the tables' owner gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    kind: Kind,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Check,
    NotNull,
    Unique,
    ForeignKey,
    Exclusion,
    /// A text that is too long, a number out of range, a text that is none.
    Value,
    /// A trigger refused it, a view or a policy.
    Other,
}

impl Kind {
    /// Errors are rules where the state says so. A trigger may raise any state.
    fn of(said: &DbError) -> Option<Self> {
        Some(match said.code().code() {
            _ if is_raised(said) => Self::Other,
            "23514" => Self::Check,
            "23502" => Self::NotNull,
            "23505" => Self::Unique,
            "23503" | "23001" => Self::ForeignKey,
            "23P01" => Self::Exclusion,
            _ if said.routine() == Some("ExecWithCheckOptions") => Self::Other,
            code => match code.get(..2) {
                Some("22") => Self::Value,
                Some("09" | "23" | "27" | "38" | "39" | "44" | "P0") => Self::Other,
                _ => return None,
            },
        })
    }
}

/// Whether a function in PL/pgSQL raised it by itself: all of it is as that function wants it.
fn is_raised(said: &DbError) -> bool {
    said.routine() == Some("exec_stmt_raise")
}

impl ServerSaid {
    pub(super) fn of(said: &DbError) -> Self {
        let is_in_statement = matches!(said.position(), Some(ErrorPosition::Original(_)));
        Self::told(said, is_in_statement)
    }

    /// Of a statement that defines something, and looks at no values.
    pub(super) fn of_definition(said: &DbError) -> Self {
        Self::told(said, true)
    }

    fn told(said: &DbError, is_in_statement: bool) -> Self {
        let function = said.where_().and_then(function);
        let is_ours = function.as_ref().is_some_and(|function| function.starts_with("live."));
        let state = said.code().code();
        let is_of = |classes: &[&str]| classes.iter().any(|class| state.starts_with(class));
        let names = is_of(&NAMING) || is_in_statement && is_of(&NAMING_BY_STATEMENT);
        let is_naming = said.where_().is_none() && names;
        let tells = is_naming && !is_raised(said) || is_ours && is_raised(said);
        let named = |name: Option<&str>| name.filter(|_| !is_raised(said)).map(str::to_owned);
        let rule = Kind::of(said).filter(|_| !is_ours).map(|kind| Rule {
            kind,
            table: named(said.table()),
            column: named(said.column()),
            constraint: named(said.constraint()),
        });
        Self {
            state: said.code().clone(),
            severity: said.severity().to_owned(),
            message: tells.then(|| said.message().to_owned()),
            rule,
            function,
            crowd: Crowd::of(said),
        }
    }

    /// Whose connections are too many.
    pub(super) fn crowd(&self) -> Option<Crowd> {
        self.crowd
    }

    /// Whether what a statement or function of ours names is missing; what others' functions name is their business.
    pub(super) fn lacks_something_named(&self) -> bool {
        let is_ours = self.function.as_ref().map_or(self.message.is_some(), |function| function.starts_with("live."));
        MISSING.contains(&self.state) && is_ours
    }

    /// Whether it is the service's own schema of which something is missing, as far as that is known.
    pub(super) fn is_of_own_schema(&self) -> bool {
        self.message.as_ref().is_none_or(|message| message.contains("live.") || message.contains("\"live\""))
    }

    pub(super) fn state(&self) -> &SqlState {
        &self.state
    }

    /// Which rule of the tables' owner was broken, in plain words for whoever wrote; nothing where it was none.
    pub(super) fn broken_rule(&self) -> Option<String> {
        let Rule { kind, table, column, constraint } = self.rule.as_ref()?;
        let rule = match (constraint, table) {
            (Some(constraint), Some(table)) => format!("the rule “{constraint}” of {table}"),
            (Some(constraint), None) => format!("the rule “{constraint}”"),
            (None, Some(table)) => format!("a rule of {table}"),
            (None, None) => "a rule".to_owned(),
        };
        Some(match (kind, column, &self.function) {
            (Kind::Check, ..) => format!("{rule} forbids it"),
            (Kind::NotNull, Some(column), _) => format!("“{column}” may not be left out"),
            (Kind::NotNull, None, _) => "something that is needed was left out".to_owned(),
            (Kind::Unique, ..) => format!("there is another one like it, which {rule} forbids"),
            (Kind::ForeignKey, ..) => format!("it belongs together with something else, as {rule} says"),
            (Kind::Exclusion, ..) => format!("it conflicts with another one, which {rule} forbids"),
            (Kind::Value, ..) => "a value does not fit where it is to be kept".to_owned(),
            (Kind::Other, _, Some(function)) => format!("the function “{function}” refuses it"),
            (Kind::Other, ..) => format!("{rule} forbids it"),
        })
    }
}

impl fmt::Display for ServerSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, severity, message, rule, function, crowd: _ } = self;
        match (message, rule) {
            (Some(message), _) => write!(f, "{severity}: {message}")?,
            (None, Some(_)) => write!(f, "{severity}: {}", self.broken_rule().unwrap_or_default())?,
            (None, None) => write!(f, "{severity}, of which the server's log says more")?,
        }
        match function {
            Some(function) => write!(f, " ({} in {function})", state.code()),
            None => write!(f, " ({})", state.code()),
        }
    }
}

impl Error for ServerSaid {}

/// The function that was under way, by the first line of a CONTEXT, which PL/pgSQL itself writes: what comes after may have values
/// in it.
fn function(context: &str) -> Option<String> {
    let first = context.lines().next()?.strip_prefix("PL/pgSQL function ")?;
    let (function, _) = first.rsplit_once(" line ")?;
    let is_name = |c: char| c.is_alphanumeric() || "_.(), \"[]".contains(c);
    (function.chars().count() <= LONGEST_FUNCTION && function.chars().all(is_name)).then(|| function.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_read_from_what_plpgsql_writes_and_nothing_else_is() {
        for (context, read) in [
            ("PL/pgSQL function check_phone() line 3 at RAISE", Some("check_phone()")),
            (
                "PL/pgSQL function shop.f(integer, text) line 12 at SQL statement\nSQL statement \"select 'Ana'\"",
                Some("shop.f(integer, text)"),
            ),
            ("SQL statement \"select 'Ana'\"\nPL/pgSQL function f() line 3 at EXECUTE", None),
            ("COPY orders_order, line 1, column customer_name: \"Ana\"", None),
            ("PL/pgSQL function f('Ana', 1) line 3 at RAISE", None),
            ("PL/pgSQL function f()", None),
            ("", None),
        ] {
            assert_eq!(function(context).as_deref(), read, "{context}");
        }
    }
}
