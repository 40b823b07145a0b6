//! A value as it was given, and whence.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::database::has_password;
use super::setting::{Kind, Setting};

/// The longest value that an error repeats.
const LONGEST: usize = 100;

/// Whence a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A line of the file.
    File(PathBuf, usize),
    /// A variable of a former name.
    Former(String),
    /// A variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl Source {
    /// The higher one takes precedence.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::File(..) => 0,
            Self::Former(_) => 1,
            Self::Variable(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Former(name) | Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value as it was given: more than one, where it is a list.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub source: Source,
    pub values: Vec<OsString>,
}

impl Given {
    /// What an error calls it: by its own name.
    pub(super) fn name(&self, setting: &Setting) -> String {
        match &self.source {
            Source::File(..) => format!("{}: {}", self.source, setting.key),
            Source::Former(name) | Source::Variable(name) | Source::Flag(name) => name.clone(),
        }
    }

    /// Likewise, with the value, where that is no secret.
    pub(super) fn named(&self, setting: &Setting) -> String {
        let name = self.name(setting);
        if setting.is_secret {
            return name;
        }
        let text = self.values.iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(", ");
        let shown: String = text.escape_debug().take(LONGEST).collect();
        match (&self.source, setting.kind) {
            (Source::File(..), Kind::Text | Kind::List) => format!("{name} = \"{shown}\""),
            (Source::File(..), Kind::Boolean | Kind::Number) => format!("{name} = {shown}"),
            (Source::Flag(_), _) => format!("{name} {shown}"),
            (Source::Former(_) | Source::Variable(_), _) => format!("{name}={shown}"),
        }
    }

    /// Whether others must not read it. A database's URL is no secret in itself.
    pub(super) fn is_secret(&self, setting: &Setting) -> bool {
        let is_open = |value: &OsString| {
            let text = String::from_utf8_lossy(value.as_bytes());
            setting.key == "database_url" && has_password(text.trim()) == Some(false)
        };
        setting.is_secret && !self.values.iter().all(is_open)
    }
}
