//! The name of a request, by which what a person reports is found in the log.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// The header that has it, in request and answer.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// How long a name may be that somebody else gave.
const LONGEST: usize = 64;

/// A request's name. In the request's extensions.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Names a request, where no proxy has, and says the name in the answer.
pub(crate) async fn name(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(HEADER).and_then(|id| id.to_str().ok()).filter(|id| is_name(id));
    let id = given.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

/// Whether it can stand in the log and on a page as it is.
fn is_name(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.:".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_gave_is_taken_if_it_is_one() {
        for (id, is) in [("a", true), ("6c1e-B_2.x:1", true), ("", false), ("a b", false), ("<b>", false)] {
            assert_eq!(is_name(id), is, "{id}");
        }
        assert!(is_name(&"a".repeat(LONGEST)) && !is_name(&"a".repeat(LONGEST + 1)));
    }
}
