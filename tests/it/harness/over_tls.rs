//! A client that speaks HTTP/2 over TLS, as browsers do with a proxy.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Method, Request, header};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Response;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::database::PASSWORD;

/// One connection, with the cookies that were given on it.
pub struct OverTls {
    host: String,
    sender: Mutex<SendRequest<Body>>,
    cookies: Mutex<Vec<String>>,
}

impl OverTls {
    /// From an address of this machine's to a server that has a certificate of its own for `localhost`, if it answers.
    pub async fn connect(from: IpAddr, to: SocketAddr, certificate: &str) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = ["h2", "http/1.1"].map(|name| name.as_bytes().to_vec()).to_vec();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let stream = socket.connect(to).await.ok()?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the proxy speaks HTTP/2");
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let host = format!("localhost:{}", to.port());
        Some(Self { host, sender: Mutex::new(sender), cookies: Mutex::default() })
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, "").await
    }

    pub async fn sign_in(&self, username: &str) {
        let fields = format!("username={username}&password={}", PASSWORD.replace(' ', "+"));
        assert_eq!(self.send(Method::POST, "/accounts/login/", &fields).await.status(), 303);
    }

    /// It says that it comes from elsewhere, which nobody must believe.
    async fn send(&self, method: Method, path: &str, fields: &str) -> Response {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.host))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, self.cookies.lock().unwrap().join("; "))
            .header("x-forwarded-for", "203.0.113.7")
            .header("forwarded", "for=203.0.113.8")
            .body(Body::from(fields.to_owned()))
            .unwrap();
        let answer = self.sender.lock().unwrap().send_request(request);
        let answer = answer.await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let given = answer.headers().get_all(header::SET_COOKIE).iter();
        let given = given.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        self.cookies.lock().unwrap().extend(given);
        Response::from(answer.map(reqwest::Body::wrap))
    }
}
