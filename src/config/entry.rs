//! What became of a setting.

use super::given::{Given, Source};
use super::setting::{Kind, Setting};

/// A setting, and what is taken for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub setting: Setting,
    /// What was given for it, if anything was.
    pub given: Option<Given>,
    /// What is taken instead, as it takes precedence: of a secret and a file that has it there is one.
    pub instead: Option<String>,
    /// What of a switch is in force, in whichever words it was given.
    pub switch: Option<bool>,
}

impl Entry {
    pub(super) fn new(setting: Setting, given: Option<Given>) -> Self {
        Self { setting, given, instead: None, switch: None }
    }

    /// What was given and is taken.
    pub(super) fn taken(&self) -> Option<&Given> {
        self.given.as_ref().filter(|_| self.instead.is_none())
    }

    /// The former variable that is taken, where that should be told.
    pub(super) fn deprecated(&self) -> Option<&str> {
        match &self.taken()?.source {
            Source::Former(name) if !self.setting.is_standard() => Some(name),
            _ => None,
        }
    }

    /// Its values, as text.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        let Some(given) = &self.given else { return Some(vec![self.setting.default.clone()?]) };
        match (self.setting.kind, self.switch) {
            (Kind::Boolean, Some(switch)) => Some(vec![switch.to_string()]),
            _ => Some(given.values.iter().map(|value| value.to_string_lossy().into_owned()).collect()),
        }
    }
}
