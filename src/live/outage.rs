//! What of a failure that lasts is worth a line in the log: that it began, each new cause, and that it is over.

use std::time::Duration;

use tokio::time::Instant;

/// Whether something fails again and again, since when, and what it said last.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<(Instant, String)>);

impl Outage {
    /// It failed. Whether that is news: the same cause was not the last one.
    pub(super) fn fails(&mut self, cause: &str) -> bool {
        let known = self.0.take();
        let is_news = known.as_ref().is_none_or(|(_, last)| last != cause);
        let since = known.map_or_else(Instant::now, |(since, _)| since);
        self.0 = Some((since, cause.to_owned()));
        is_news
    }

    /// It works. How long it had not, if it had not.
    pub(super) fn is_over(&mut self) -> Option<Duration> {
        self.0.take().map(|(since, _)| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_cause_is_news_once_until_it_is_over() {
        let mut outage = Outage::default();
        assert_eq!(outage.is_over(), None);
        let mut news = Vec::new();
        for cause in ["a column", "a column", "a column", "the server", "the server", "a column"] {
            news.push(outage.fails(cause));
            advance(Duration::from_secs(2)).await;
        }
        assert_eq!(news, [true, false, false, true, false, true]);
        assert_eq!(outage.is_over(), Some(Duration::from_secs(12)));
        assert_eq!(outage.is_over(), None);
        assert!(outage.fails("a column"));
    }
}
