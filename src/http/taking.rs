//! Connections that a handler takes over.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use super::connections::Place;

/// A connection that its handler has for itself from now on.
pub struct Taken {
    /// The socket. Nothing of the response is written yet.
    pub socket: TcpStream,
    /// The response's head, to be written first.
    pub head: Vec<u8>,
    /// Whether what follows is to be in chunks (HTTP/1.1), or ends with the connection (HTTP/1.0).
    pub is_chunked: bool,
    /// What the connection takes of those there may be, to be kept as long as it.
    pub place: Place,
}

pub(super) type Taking = Box<dyn FnOnce(Taken) -> BoxFuture<'static, ()> + Send>;

/// In a request's extensions: its handler may take the connection over. A connection that is served in the ordinary way
/// keeps buffers of 16 kB and more for as long as it lives, which is too much for one that only waits.
#[derive(Clone, Copy)]
pub struct MayTakeOver;

/// In a response's extensions: its handler takes the connection over. The response's body is not looked at.
#[derive(Clone)]
pub struct TakeOver(Arc<Mutex<Option<Taking>>>);

impl TakeOver {
    /// `taking` writes the response, and closes the connection at its end.
    pub fn new<F: Future<Output = ()> + Send + 'static>(taking: impl FnOnce(Taken) -> F + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(|taken| Box::pin(taking(taken)))))))
    }

    /// Gives it once.
    pub(super) fn take(&self) -> Option<Taking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
