//! The file. What is wrong in it is named by file, line and key; a line is never shown, as it may have a secret in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Value};

use super::given::{Given, Source};
use super::setting::{FILE, Kind, Setting, nearest};

/// What a file says, by key.
#[derive(Debug, Default)]
pub(super) struct File(BTreeMap<String, Given>);

impl File {
    /// Reads it. `named` is what names the file.
    ///
    /// # Errors
    /// All that is wrong in it.
    pub(super) fn read(path: &Path, named: &str, settings: &[Setting]) -> Result<Self, Vec<String>> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| vec![format!("{named}: {:?}: {error}", path.display().to_string())])?;
        Self::parse(path, &text, settings)
    }

    fn parse(path: &Path, text: &str, settings: &[Setting]) -> Result<Self, Vec<String>> {
        let place = |span: Option<Range<usize>>| {
            let before = text.get(..span.unwrap_or_default().start).unwrap_or(text);
            Source::File(PathBuf::from(path), before.matches('\n').count() + 1)
        };
        let document = Document::parse(text).map_err(|error| {
            // a key that is there twice is no secret
            let key =
                error.span().and_then(|span| text.get(span)).filter(|_| error.message().contains("duplicate key"));
            let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
            vec![format!("{}: {key}{}", place(error.span()), error.message())]
        })?;
        let (mut entries, mut wrong) = (BTreeMap::new(), Vec::new());
        for (key, item) in document.as_table() {
            let span = document.as_table().key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
            let source = place(span);
            let Some(setting) = settings.iter().find(|setting| setting.key == key && key != FILE) else {
                let known = settings.iter().map(|setting| setting.key.as_str()).filter(|known| *known != FILE);
                let meant = nearest(key, known).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                wrong.push(format!("{source}: {key}: there is no such setting{meant}"));
                continue;
            };
            match values(item, setting.kind) {
                Some(values) => {
                    entries.insert(key.to_owned(), Given { source, values });
                }
                None => wrong.push(format!("{source}: {key}: expected {}", expected(setting.kind))),
            }
        }
        if wrong.is_empty() { Ok(Self(entries)) } else { Err(wrong) }
    }

    /// What is said of a setting.
    pub(super) fn given(&self, setting: &Setting) -> Option<Given> {
        self.0.get(&setting.key).cloned()
    }

    /// Whether it has a secret in it.
    pub(super) fn has_secret(&self, settings: &[Setting]) -> bool {
        settings.iter().any(|setting| self.0.get(&setting.key).is_some_and(|given| given.is_secret(setting)))
    }
}

/// As a flag would have it; nothing where that is no value of this kind.
fn values(item: &Item, kind: Kind) -> Option<Vec<OsString>> {
    let text = |value: &Value| value.as_str().map(OsString::from);
    let value = item.as_value()?;
    match kind {
        Kind::Boolean => Some(vec![value.as_bool()?.to_string().into()]),
        Kind::Number => Some(vec![value.as_integer()?.to_string().into()]),
        Kind::Text => Some(vec![text(value)?]),
        Kind::List => match value.as_array() {
            Some(values) => values.iter().map(text).collect(),
            None => Some(vec![text(value)?]),
        },
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "true or false",
        Kind::Number => "a number",
        Kind::Text => "a text in quotes",
        Kind::List => "a list of texts in quotes",
    }
}
