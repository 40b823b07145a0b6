//! The effective configuration as a file that can be read again.

use toml_edit::{Array, Value};

use super::entry::Entry;
use super::setting::{FILE, Kind};

/// A line for each setting, with a comment on whence it is. What is secret or not set is a comment as a whole.
pub(super) fn text(command: &str, entries: &[Entry]) -> String {
    let mut text = format!("# What oncare-live {command} is configured with. --config reads this again.\n\n");
    for entry in entries.iter().filter(|entry| entry.setting.key != FILE) {
        text.push_str(&line(entry, entries));
        text.push('\n');
    }
    text
}

fn line(entry: &Entry, entries: &[Entry]) -> String {
    let key = &entry.setting.key;
    let Some(given) = &entry.given else {
        let by_file = entries.iter().find(|other| other.setting.key == format!("{key}_file"));
        return match value(entry) {
            Some(value) => format!("{key} = {value} # default"),
            None if by_file.is_some_and(|file| file.taken().is_some()) => {
                format!("# {key} = \"***\" # in the file of {key}_file")
            }
            None => format!("# {key} is not set"),
        };
    };
    let mut source = given.source.to_string().escape_debug().to_string();
    if let Some(instead) = &entry.instead {
        source.push_str(&format!(", but {instead} takes precedence"));
    }
    let is_text = given.values.iter().all(|value| value.to_str().is_some());
    let value = value(entry).unwrap_or_default();
    if given.is_secret(&entry.setting) {
        format!("# {key} = \"***\" # from {source}")
    } else if entry.instead.is_some() {
        format!("# {key} = {value} # from {source}")
    } else if is_text {
        format!("{key} = {value} # from {source}")
    } else {
        format!("# {key} = {value} # from {source}; no file can have it, as it is not UTF-8")
    }
}

fn value(entry: &Entry) -> Option<String> {
    let texts = entry.texts()?;
    if entry.setting.kind == Kind::List {
        return Some(Array::from_iter(texts).to_string());
    }
    let text = texts.into_iter().next()?;
    Some(match entry.setting.kind {
        Kind::Boolean => text,
        Kind::Number => text.parse::<u64>().map_or(text, |number| number.to_string()),
        Kind::Text | Kind::List => Value::from(text).to_string(),
    })
}
