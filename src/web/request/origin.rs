//! From where a request came.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use crate::network::{Origin, Peer};
use crate::web::app::App;

/// From where a request came: the peer of its connection, or whom a trusted proxy names.
pub(crate) struct Sender(pub(crate) Origin);

impl FromRequestParts<App> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let origin = origin(app, &parts.extensions, &parts.headers);
        // a connection is known of a client alone; where the host signs people on, nothing depends on who it is
        let is_named = parts.headers.contains_key("forwarded") || parts.headers.contains_key("x-forwarded-for");
        let matters = app.settings.site.host().is_none();
        if origin.connection.is_some() && is_named && matters && app.untrusted_proxy.is_due() {
            tracing::warn!(
                proxy = %origin.address,
                "logins come by a proxy that is not trusted, so that all of its clients count as one: if it is yours, name it with \
                 --trusted-proxy"
            );
        }
        Ok(Self(origin))
    }
}

/// The same of a request that is on its way to whoever answers it.
pub(super) fn origin(app: &App, extensions: &Extensions, headers: &HeaderMap) -> Origin {
    // a request always came on a connection
    let nowhere = Peer { address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), connection: 0 };
    let peer = extensions.get::<Peer>().copied().unwrap_or(nowhere);
    Origin::of_request(peer, &app.settings.trusted_proxies, headers)
}
