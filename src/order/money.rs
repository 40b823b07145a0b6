//! Exact amounts.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount in the currency of the installation, as exact as the database has it, so that a sum of changes stays the sum of
/// what changed, also where the host has widened its column. It is shown with two places, rounded as PostgreSQL does:
/// `tests/cases/amounts.json`. It is a decimal all the way to the digits in the JSON; it is never a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(Decimal);

impl Money {
    /// The amount for a parameter of a statement.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// The amount, with all its places.
    #[must_use]
    pub fn new(amount: Decimal) -> Self {
        Self(amount)
    }

    /// The same amount taken away.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// The sum, exactly.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Default for Money {
    fn default() -> Self {
        Self(Decimal::ZERO)
    }
}

/// `1500.00`, as the JSON has it.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        shown.rescale(2);
        // PostgreSQL has no zero below zero
        if shown.is_zero() { Decimal::new(0, 2).fmt(f) } else { shown.fmt(f) }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// A whole number of at least 0 as people read it: `13,477`. `tests/cases/counts.json` has the cases that hold for pages as well.
#[must_use]
pub fn grouped(whole: impl fmt::Display) -> String {
    let digits = whole.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The sign before an amount, such as `₱`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency(Box<str>);

impl Currency {
    /// `₱1,500.00`.
    #[must_use]
    pub fn show(&self, amount: Money) -> String {
        let digits = amount.to_string();
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "00"));
        format!("{sign}{}{}.{places}", self.0, grouped(whole))
    }

    /// The sign alone.
    #[must_use]
    pub fn sign(&self) -> &str {
        &self.0
    }
}

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(sign: &str) -> Result<Self, Self::Err> {
        if sign.is_empty() || sign.chars().count() > 5 || sign.chars().any(|c| c.is_control() || c.is_ascii_digit()) {
            return Err("expected a currency sign of one to five characters such as ₱ or PHP");
        }
        Ok(Self(sign.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        Money::new(text.parse().unwrap())
    }

    #[test]
    fn json_has_two_places_and_every_digit() {
        for (amount, json) in [("1500", "1500.00"), ("0.1", "0.10"), ("-2.5", "-2.50"), ("0", "0.00")] {
            assert_eq!(serde_json::to_string(&money(amount)).unwrap(), json);
        }
        let far_beyond_a_float = "123456789012345678.91";
        assert_eq!(serde_json::to_string(&money(far_beyond_a_float)).unwrap(), far_beyond_a_float);
    }

    #[test]
    fn amounts_are_rounded_and_shown_as_the_table_has_it() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../tests/cases/amounts.json")).unwrap();
        for case in table["amounts"].as_array().unwrap() {
            let [exact, rounded, sign, shown] =
                ["exact", "rounded", "sign", "shown"].map(|key| case[key].as_str().unwrap());
            assert_eq!(money(exact).to_string(), rounded, "{exact}");
            assert_eq!(sign.parse::<Currency>().unwrap().show(money(exact)), shown, "{exact}");
        }
    }

    #[test]
    fn counts_are_shown_as_the_table_has_it() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../tests/cases/counts.json")).unwrap();
        for case in table["counts"].as_array().unwrap() {
            assert_eq!(grouped(&case["count"]), case["shown"].as_str().unwrap());
        }
    }

    #[test]
    fn a_sum_is_of_exact_amounts() {
        assert_eq!(money("0.004").plus(money("0.004")).plus(money("-0.004").negated()).to_string(), "0.01");
    }
}
