//! A submitted form.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use crate::store::SignedIn;

/// Longest text that a form takes where the host's column has no limit, in characters, against abuse.
pub(crate) const LONGEST_TEXT: usize = 4_000;

/// How many fields a form may have. The largest of ours is a selection of a hundred orders.
const MOST_FIELDS: usize = 500;

/// The fields of a submitted form, in their order. Of a repeated one the last counts, unless all are asked for.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// The field as it was sent; empty if it was not.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields(name).last().unwrap_or("")
    }

    /// Whether the page that sent it was made for another user than the one who is signed in now, as can be where two people
    /// share a browser. A client that names no user (`user=`) is believed to mean the user of its session.
    pub(crate) fn is_anothers(&self, user: &SignedIn) -> bool {
        self.fields("user").last().is_some_and(|sent| sent != user.id.to_string())
    }

    /// Refuses a form of a page that was made for another user, so that nobody writes in the name of whoever signed in later.
    ///
    /// # Errors
    /// If the page that sent it was made for somebody else.
    pub(crate) fn is_theirs(&self, user: &SignedIn) -> Result<(), Failure> {
        if !self.is_anothers(user) {
            return Ok(());
        }
        let now = &user.username;
        Err(Failure::Conflict(format!(
            "this page was made for somebody else, and {now} is signed in by now: nothing is written"
        )))
    }

    /// Every value of a repeated field, as they were sent.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(sent, _)| sent == name).map(|(_, value)| value.as_str())
    }

    /// The field, trimmed, with line breaks as `\n` (browsers send `\r\n`); empty if it was not sent.
    pub(crate) fn text(&self, name: &str) -> String {
        plain(self.field(name))
    }

    /// The same. If the field was not sent, or is as the page showed it, the present text is returned unchanged, spaces included.
    pub(crate) fn text_or(&self, name: &str, present: &str) -> String {
        let sent = self.fields(name).next().map(|_| self.text(name));
        sent.filter(|text| *text != plain(present)).unwrap_or_else(|| present.to_owned())
    }
}

fn plain(text: &str) -> String {
    text.trim().replace("\r\n", "\n").replace('\r', "\n")
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let fields: Vec<_> = form_urlencoded::parse(&body).into_owned().take(MOST_FIELDS + 1).collect();
        if fields.len() > MOST_FIELDS {
            return Err(Failure::Unwritable(format!("a form has at most {MOST_FIELDS} fields")).into_response());
        }
        Ok(Self(fields))
    }
}

/// What keeps a text from being written, for the person who wrote it.
pub(crate) fn too_long_or_unwritable(text: &str, longest: usize) -> Option<String> {
    let length = text.chars().count();
    if length > longest {
        return Some(format!("At most {longest} characters; this has {length}."));
    }
    // PostgreSQL has no text with a zero byte in it
    text.contains('\0').then(|| "This has a character that can't be stored.".to_owned())
}
