//! Whatever is in what is said, it is on one line, and looks like what it is.

use std::borrow::Cow;
use std::io::{self, Write};

/// Writes each record on one line of its own: line breaks, control characters and what turns the direction of a text round are
/// written as their codes, so that no value can pass for another line.
pub struct OneLine<W> {
    to: W,
    /// Whether the record has colours, which are told by control characters. Those in values have been taken out before.
    has_colours: bool,
}

impl<W: Write> OneLine<W> {
    /// Where to write.
    pub fn new(to: W, has_colours: bool) -> Self {
        Self { to, has_colours }
    }
}

impl<W: Write> Write for OneLine<W> {
    /// A record comes as a whole, with a line break at its end.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let said = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = in_one_line(said, self.has_colours).into_owned();
        line.push('\n');
        self.to.write_all(line.as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn in_one_line(text: &str, has_colours: bool) -> Cow<'_, str> {
    let misleads = |c: char| {
        c.is_control() && !(has_colours && c == '\u{1b}')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(misleads) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            // as JSON has it, too
            c if misleads(c) => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_says() {
        let mut written = Vec::new();
        for (record, has_colours) in [
            ("WARN a\nWARN forged\r\x1b[2J\u{85}\u{2028}\u{202e}b\n", false),
            ("\x1b[33mWARN\x1b[0m a\nb\x07\n", true),
            ("INFO João 药\n", false),
        ] {
            OneLine::new(&mut written, has_colours).write_all(record.as_bytes()).unwrap();
        }
        let expected = "WARN a\\nWARN forged\\u000d\\u001b[2J\\u0085\\u2028\\u202eb\n\x1b[33mWARN\x1b[0m a\\nb\\u0007\nINFO João 药\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
