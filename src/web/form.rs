//! A submitted form.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};

/// The fields of a submitted form. Of a repeated one the last counts.
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// The field as it was sent; empty if it was not.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The field without space around it and with line breaks as `\n` (browsers send `\r\n`); empty if it was not sent.
    pub(super) fn text(&self, name: &str) -> String {
        self.field(name).trim().replace("\r\n", "\n")
    }

    /// The same; what was not sent stays as it is.
    pub(super) fn text_or(&self, name: &str, present: String) -> String {
        if self.0.contains_key(name) { self.text(name) } else { present }
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }
}
