//! What a stream receives, read with as little work as possible: the receivers share the processors with what they
//! measure.

use memchr::memmem::Finder;

/// What stands before the amount by which an update is recognised.
const KEY: &[u8] = b"\"total_amount\":";

/// Takes the chunks' frames off a response body.
#[derive(Debug, Default)]
pub struct Chunks {
    /// Bytes of the present chunk that are still to come, or the digits of its size so far.
    number: usize,
    place: Place,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// After the size's digits: an extension, or the line break.
    SizeLine,
    Data,
    /// The line break after the data.
    DataEnd,
    Over,
}

impl Chunks {
    /// The next part of the body that is in `input`, which is shortened to what follows; `None` when all is read.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<&'a [u8]> {
        loop {
            if self.place == Place::Data {
                let length = self.number.min(input.len());
                let (data, rest) = input.split_at(length);
                *input = rest;
                self.number -= length;
                if self.number == 0 {
                    self.place = Place::DataEnd;
                }
                return (!data.is_empty()).then_some(data);
            }
            let (byte, rest) = input.split_first()?;
            *input = rest;
            self.place = match (self.place, char::from(*byte).to_digit(16)) {
                (Place::Size, Some(digit)) => {
                    self.number = self.number * 16 + digit as usize;
                    Place::Size
                }
                (Place::Size | Place::SizeLine, _) if *byte == b'\n' && self.number == 0 => Place::Over,
                (Place::Size | Place::SizeLine, _) if *byte == b'\n' => Place::Data,
                (Place::Size | Place::SizeLine, _) => Place::SizeLine,
                (Place::DataEnd, _) if *byte == b'\n' => Place::Size,
                (place, _) => place,
            };
        }
    }

    /// Whether the last chunk came: the body is complete.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }
}

/// Finds amounts in a text that comes in pieces.
pub struct Amounts {
    key: Finder<'static>,
}

impl Default for Amounts {
    fn default() -> Self {
        Self { key: Finder::new(KEY) }
    }
}

impl Amounts {
    /// Calls `found` with each amount, in hundredths, of `tail` and `piece` together, and leaves in `tail` the end that
    /// may belong to one that is not complete.
    pub fn scan(&self, tail: &mut Vec<u8>, piece: &[u8], mut found: impl FnMut(u64)) {
        if tail.is_empty() {
            let kept = self.scan_whole(piece, &mut found);
            tail.extend_from_slice(&piece[kept..]);
        } else {
            tail.extend_from_slice(piece);
            let kept = self.scan_whole(tail, &mut found);
            tail.drain(..kept);
        }
    }

    /// Where the text begins that must be kept.
    fn scan_whole(&self, text: &[u8], found: &mut impl FnMut(u64)) -> usize {
        let mut from = 0;
        while let Some(at) = self.key.find(&text[from..]) {
            let number = from + at + KEY.len();
            let length = text[number..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
            if number + length == text.len() {
                return from + at;
            }
            if let Some(hundredths) = hundredths(&text[number..number + length]) {
                found(hundredths);
            }
            from = number + length;
        }
        let longest = (KEY.len() - 1).min(text.len() - from);
        let cut = (1..=longest).rev().find(|length| text.ends_with(&KEY[..*length]));
        text.len() - cut.unwrap_or(0)
    }
}

/// `12.3`, `12.30` and `12` are 1,230, 1,230 and 1,200.
fn hundredths(number: &[u8]) -> Option<u64> {
    let (whole, places) =
        std::str::from_utf8(number).ok()?.split_once('.').unwrap_or((std::str::from_utf8(number).ok()?, ""));
    let places = match places.len() {
        0 => 0,
        1 => places.parse::<u64>().ok()? * 10,
        2 => places.parse().ok()?,
        _ => return None,
    };
    Some(whole.parse::<u64>().ok()? * 100 + places)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        b"data: {\"orders\":[{\"id\":7,\"total_amount\":123.4,\"x\":\"total\"},{\"total_amount\":0.05}]}\n\n";

    fn amounts(pieces: &[&[u8]]) -> Vec<u64> {
        let (amounts, mut tail, mut all) = (Amounts::default(), Vec::new(), Vec::new());
        for piece in pieces {
            amounts.scan(&mut tail, piece, |amount| all.push(amount));
        }
        assert!(tail.is_empty());
        all
    }

    #[test]
    fn an_amount_is_found_wherever_the_text_is_cut() {
        for cut in 0..=BODY.len() {
            assert_eq!(amounts(&[&BODY[..cut], &BODY[cut..]]), [12_340, 5], "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = BODY.chunks(1).collect();
        assert_eq!(amounts(&bytes), [12_340, 5]);
    }

    #[test]
    fn numbers_have_up_to_two_places() {
        for (text, expected) in [("123.4", Some(12_340)), ("123.45", Some(12_345)), ("7", Some(700)), ("null", None)] {
            assert_eq!(hundredths(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn chunks_are_unframed_wherever_they_are_cut() {
        let framed: &[u8] = b"5\r\nhello\r\n1A;x=y\r\n, abcdefghijklmnopqrstuvwx\r\n0\r\n\r\n";
        for cut in 0..=framed.len() {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            for mut piece in [&framed[..cut], &framed[cut..]] {
                while let Some(data) = chunks.next(&mut piece) {
                    body.extend_from_slice(data);
                }
            }
            assert_eq!(body, b"hello, abcdefghijklmnopqrstuvwx", "cut at {cut}");
            assert!(chunks.is_over());
        }
    }
}
