//! The metrics as numbers: what the ops page shows is what Prometheus reads.

use std::collections::HashMap;

/// One reading of all metrics, by their names and labels.
#[derive(Debug, Default)]
pub(super) struct Scrape(HashMap<String, f64>);

impl Scrape {
    /// From the text.
    pub(super) fn parse(text: &str) -> Self {
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(value).collect())
    }

    /// One metric, of which the names in full begin with `oncare_live_`; 0 where it is not there.
    pub(super) fn of(&self, name: &str) -> f64 {
        self.0.get(&format!("oncare_live_{name}")).copied().unwrap_or_default()
    }

    /// The sum over all labels.
    pub(super) fn sum(&self, name: &str) -> f64 {
        let prefix = format!("oncare_live_{name}{{");
        self.0.iter().filter(|(name, _)| name.starts_with(&prefix)).map(|(_, value)| value).sum()
    }

    /// Below which bound of a histogram such a share of those lies that came since an earlier reading; nothing where none did.
    pub(super) fn quantile_since(&self, earlier: &Self, histogram: &str, share: f64) -> Option<f64> {
        let prefix = format!("oncare_live_{histogram}_bucket{{le=\"");
        let bound = |name: &str| name.strip_prefix(&prefix)?.strip_suffix("\"}")?.parse::<f64>().ok();
        let count = |name: &String, now: &f64| now - earlier.0.get(name).copied().unwrap_or_default();
        let mut buckets: Vec<(f64, f64)> =
            self.0.iter().filter_map(|(name, now)| Some((bound(name)?, count(name, now)))).collect();
        buckets.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
        let all = buckets.last().map(|(_, count)| *count).filter(|all| *all > 0.0)?;
        let within = buckets.iter().find(|(_, count)| *count >= share * all)?.0;
        // of those beyond all bounds it is known that they are beyond the last
        let last = buckets.iter().rev().map(|(bound, _)| *bound).find(|bound| bound.is_finite());
        Some(if within.is_finite() { within } else { last? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_between_two_readings_has_its_quantiles() {
        let scrape = |counts: [u32; 3]| {
            let [a, b, c] = counts;
            Scrape::parse(&format!(
                "# TYPE x histogram\noncare_live_x_bucket{{le=\"0.1\"}} {a}\noncare_live_x_bucket{{le=\"1.0\"}} {b}\n\
                 oncare_live_x_bucket{{le=\"+Inf\"}} {c}\noncare_live_open{{role=\"a\"}} 2\noncare_live_open{{role=\"b\"}} 3\n"
            ))
        };
        let earlier = scrape([10, 10, 10]);
        for (counts, share, expected) in [
            ([10, 10, 10], 0.5, None),
            ([11, 12, 12], 0.5, Some(0.1)),
            ([11, 12, 12], 0.99, Some(1.0)),
            ([10, 10, 11], 0.5, Some(1.0)),
        ] {
            assert_eq!(scrape(counts).quantile_since(&earlier, "x", share), expected, "{counts:?} {share}");
        }
        assert_eq!((earlier.sum("open"), earlier.of("open{role=\"b\"}"), earlier.of("nothing")), (5.0, 3.0, 0.0));
    }
}
