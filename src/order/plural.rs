//! Numbers of things in words.

use std::fmt::Display;

/// `1 order`, `7 orders`.
#[must_use]
pub fn counted<N: Display + From<u8> + PartialEq>(count: N, one: &str, many: &str) -> String {
    let noun = if count == N::from(1) { one } else { many };
    format!("{count} {noun}")
}

/// `1 box`, `3 boxes`: a quantity in the unit that the order has, which is one of them where there is only one.
#[must_use]
pub fn in_units(quantity: i64, unit: &str) -> String {
    counted(quantity, &one_of(unit), unit)
}

/// The singular of an English plural; what is none stays as it is.
fn one_of(many: &str) -> String {
    let stem = many.strip_suffix('s').filter(|stem| !stem.ends_with(['s', 'u', 'i']));
    let Some(stem) = stem else { return many.to_owned() };
    match stem.strip_suffix("ie") {
        Some(stem) => format!("{stem}y"),
        None => {
            let hisses = ["xe", "che", "she", "sse"].iter().any(|ending| stem.ends_with(ending));
            stem[..stem.len() - usize::from(hisses)].to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        for (quantity, unit, words) in [
            (1, "boxes", "1 box"),
            (3, "boxes", "3 boxes"),
            (0, "boxes", "0 boxes"),
            (1, "tablets", "1 tablet"),
            (1, "bottles", "1 bottle"),
            (1, "sachets", "1 sachet"),
            (1, "pouches", "1 pouch"),
            (1, "supplies", "1 supply"),
            (1, "glasses", "1 glass"),
            (1, "doses", "1 dose"),
            (1, "box", "1 box"),
            (2, "box", "2 box"),
            (1, "gross", "1 gross"),
            (1, "", "1 "),
        ] {
            assert_eq!(in_units(quantity, unit), words);
        }
        assert_eq!(
            (counted(1_i64, "order", "orders"), counted(0_usize, "order", "orders")),
            ("1 order".into(), "0 orders".into())
        );
    }
}
