//! The ends of streams.

/// Why the server ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bye {
    /// The server is stopping; another may take over.
    Draining,
    /// The session is over.
    SignedOut,
    /// The same session, user or address opened too many others.
    Replaced,
}

impl Bye {
    /// As the page and the metrics have it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::SignedOut => "signed_out",
            Self::Replaced => "replaced",
        }
    }
}
