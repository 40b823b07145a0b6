//! A router that knows its routes, so that a test can ask each of them for everything that it must not give. axum's own can't say
//! what is in it; nothing but this adds a route to one (`clippy.toml`).

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, Route as Endpoint, get, post};
use tower::{Layer, Service};

/// A method and a path, as `/orders/orders/{id}/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is done.
    pub method: Method,
    /// Where. What stands in braces is any one part of a path; with an asterisk, all that is left of it.
    pub path: String,
}

impl Route {
    /// The same below a path, which ends with a slash.
    #[must_use]
    pub fn below(self, path: &str) -> Self {
        Self { path: format!("{path}{}", self.path.trim_start_matches('/')), ..self }
    }
}

/// A router, and what is in it.
#[derive(Clone)]
pub struct Routes<S> {
    router: Router<S>,
    list: Vec<Route>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self { router: Router::new(), list: Vec::new() }
    }

    /// Adds what is read there.
    #[must_use]
    pub fn get<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.with(Method::GET, path, get(handler))
    }

    /// Adds what is written there.
    #[must_use]
    pub fn post<T: 'static>(self, path: &str, handler: impl Handler<T, S>) -> Self {
        self.with(Method::POST, path, post(handler))
    }

    #[expect(clippy::disallowed_methods, reason = "here it is noted")]
    fn with(mut self, method: Method, path: &str, handler: MethodRouter<S>) -> Self {
        self.list.push(Route { method, path: path.to_owned() });
        Self { router: self.router.route(path, handler), list: self.list }
    }

    /// Adds all of another's.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    /// Adds all of another's below a path, which ends with a slash.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "here it is noted")]
    pub fn nest(mut self, path: &str, other: Self) -> Self {
        self.list.extend(other.list.into_iter().map(|route| route.below(path)));
        Self { router: self.router.nest(path, other.router), list: self.list }
    }

    /// Puts something around all that is there so far.
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Endpoint> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Error: Into<Infallible>, Response: IntoResponse, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        Self { router: self.router.layer(layer), list: self.list }
    }

    /// Answers where there is no route.
    #[must_use]
    pub fn fallback<T: 'static>(self, handler: impl Handler<T, S>) -> Self {
        Self { router: self.router.fallback(handler), list: self.list }
    }

    /// Answers where one of the routes so far is asked with another method.
    #[must_use]
    pub fn method_not_allowed_fallback<T: 'static>(self, handler: impl Handler<T, S>) -> Self {
        Self { router: self.router.method_not_allowed_fallback(handler), list: self.list }
    }

    /// The same with what its handlers are given, as a part of another router.
    #[must_use]
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Routes<T> {
        Routes { router: self.router.with_state(state), list: self.list }
    }

    /// Every route, in the order in which they were added.
    #[must_use]
    pub fn list(&self) -> &[Route] {
        &self.list
    }

    /// What answers.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}
