//! The database's URL, TLS, and the dedicated connection that receives notifications.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::future::poll_fn;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::session::{self, Purpose};
use super::{Attempt, StoreError};

/// How long the TCP connect to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long connect, start-up and first statements may take in all. A server that accepts and then says nothing is
/// not covered by the connect time-out.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was sent may stay unacknowledged, and when a silent connection is asked for a sign of life, how often and
/// how many times. A peer that vanished is noticed within some ten seconds; by the system's defaults it takes a quarter of an
/// hour, or two hours where nothing is sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
const KEEPALIVES_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVES: u32 = 3;

/// How the server's certificate is checked, as `sslmode` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verification {
    /// Encrypted, the certificate unchecked: `prefer`, `require`.
    None,
    /// Signed by a trusted authority, for whatever name: `verify-ca`.
    Authority,
    /// Signed, and for the host's name: `verify-full`.
    Full,
}

/// Where the database is. Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    verification: Verification,
    root_certificate: Option<PathBuf>,
    shown: String,
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.shown)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl DatabaseUrl {
    /// Reads `postgresql://user:password@host:port/database?sslmode=…&sslrootcert=…`.
    ///
    /// # Errors
    /// What was expected. The message never repeats the URL, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a URL such as postgresql://user:password@host:5432/database?sslmode=require";
        if !(text.starts_with("postgresql://") || text.starts_with("postgres://")) {
            return Err(EXPECTED.to_owned());
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut verification = Verification::None;
        let mut ssl_mode = SslMode::Prefer;
        let mut root_certificate = None;
        let mut given = Vec::new();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "sslmode" => {
                    (ssl_mode, verification) = match value.as_ref() {
                        "disable" => (SslMode::Disable, Verification::None),
                        "allow" | "prefer" => (SslMode::Prefer, Verification::None),
                        "require" => (SslMode::Require, Verification::None),
                        "verify-ca" => (SslMode::Require, Verification::Authority),
                        "verify-full" => (SslMode::Require, Verification::Full),
                        _ => {
                            return Err("sslmode: expected disable, allow, prefer, require, verify-ca or verify-full"
                                .to_owned());
                        }
                    };
                }
                "sslrootcert" => root_certificate = Some(PathBuf::from(value.as_ref())),
                _ => {
                    // the driver has another name for it than libpq
                    let name = if name == "keepalives_count" { "keepalives_retries".into() } else { name };
                    rest.append_pair(&name, &value);
                    given.push(name);
                }
            }
        }
        // the driver takes a query's plus sign literally, unlike a form
        let rest = rest.finish().replace('+', "%20");
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
            format!("{EXPECTED}{cause}")
        })?;
        if config.get_hosts().is_empty() {
            return Err(format!("{EXPECTED} (the host is missing)"));
        }
        config.ssl_mode(ssl_mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("oncare-live");
        }
        let is_given = |name: &str| given.iter().any(|given| given == name);
        if !is_given("tcp_user_timeout") {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if !is_given("keepalives_idle") {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if !is_given("keepalives_interval") {
            config.keepalives_interval(KEEPALIVES_INTERVAL);
        }
        if !is_given("keepalives_retries") {
            config.keepalives_retries(KEEPALIVES);
        }
        let shown = without_password(base);
        Ok(Self { config, verification, root_certificate, shown })
    }

    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }

    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| StoreError::unreadable("the TLS settings", cause))?;
        let verifier = match self.verification {
            Verification::None => AsLibpq::unchecked(provider),
            Verification::Authority => AsLibpq::checked(self.trusted()?, false, provider)?,
            Verification::Full => AsLibpq::checked(self.trusted()?, true, provider)?,
        };
        let tls = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(MakeRustlsConnect::new(tls))
    }

    /// The certificates of the file of `sslrootcert`, else what the machine trusts.
    fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, StoreError> {
        let Some(path) = &self.root_certificate else {
            return Ok(rustls_native_certs::load_native_certs().certs);
        };
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        read.map_err(|cause| {
            let path = path.display();
            StoreError::Unsuitable(format!("could not read certificates from sslrootcert {path}: {cause}"))
        })
    }
}

fn without_password(base: &str) -> String {
    let Some((scheme, rest)) = base.split_once("://") else { return String::new() };
    match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}")
        }
        None => base.to_owned(),
    }
}

/// Checks what libpq checks: nothing, the authority, or the authority and the name. A certificate that signed itself is
/// its own authority where it is trusted, as PostgreSQL's manual has people make them.
#[derive(Debug)]
struct AsLibpq {
    authority: Option<Arc<WebPkiServerVerifier>>,
    trusted: Vec<CertificateDer<'static>>,
    for_name: bool,
    provider: Arc<CryptoProvider>,
}

impl AsLibpq {
    fn unchecked(provider: Arc<CryptoProvider>) -> Self {
        Self { authority: None, trusted: Vec::new(), for_name: false, provider }
    }

    fn checked(
        trusted: Vec<CertificateDer<'static>>,
        for_name: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, StoreError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        if roots.is_empty() {
            return Err(StoreError::Unsuitable(
                "no trusted certificate was found: name a file of them with sslrootcert in the database URL".to_owned(),
            ));
        }
        let authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|cause| StoreError::unreadable("the trusted certificates", cause))?;
        Ok(Self { authority: Some(authority), trusted, for_name, provider })
    }
}

impl ServerCertVerifier for AsLibpq {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        if self.trusted.contains(end_entity) {
            if self.for_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if !self.for_name =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A dedicated connection, never pooled: a pool discards notifications. Dropping it ends the connection.
pub struct Link {
    pub(super) client: ClientWrapper,
    closed: CancellationToken,
}

impl Link {
    /// Connects and makes the session ready, all within ten seconds. The server shows it as being for that purpose.
    /// `on_notice` gets the channel and payload of each notification as it comes; it runs on the connection's task and
    /// must neither block nor trust what it gets, as any database role can send anything at any rate.
    ///
    /// # Errors
    /// If the server can't be reached in time, or refuses.
    pub async fn open(
        url: &DatabaseUrl,
        purpose: &str,
        mut on_notice: impl FnMut(&str, &str) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let opening = async {
            let mut config = url.config();
            let name = format!("{} {purpose}", config.get_application_name().unwrap_or_default());
            config.application_name(name.trim());
            let (client, mut connection) = config.connect(url.connector()?).await.attempt("connect")?;
            let closed = CancellationToken::new();
            let closing = closed.clone().drop_guard();
            let driver = tokio::spawn(async move {
                let _closing = closing;
                while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                    if let AsyncMessage::Notification(notice) = message {
                        on_notice(notice.channel(), notice.payload());
                    }
                }
            });
            let link = Self { client: ClientWrapper::new(client, driver), closed };
            session::prepare(&link.client, Purpose::Link).await.attempt("prepare the session")?;
            Ok(link)
        };
        tokio::time::timeout(LINK_TIMEOUT, opening).await.unwrap_or_else(|elapsed| {
            Err(StoreError::Unavailable { attempted: "connect within 10 s", cause: elapsed.into() })
        })
    }

    /// Listens on a channel. It is in force, committed and acknowledged, on return.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn listen(&self, channel: &'static str) -> Result<(), StoreError> {
        self.client.batch_execute(&format!("listen {channel}")).await.attempt("listen for notifications")
    }

    /// Returns when the connection is lost.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgresql://rep:s3cret@db.example:5432/oncare?password=s3cret").unwrap();
        for shown in [format!("{url}"), format!("{url:?}")] {
            assert!(shown.contains("rep:***@db.example:5432/oncare") && !shown.contains("s3cret"), "{shown}");
        }
        let tricky = DatabaseUrl::parse("postgresql://rep:p@ss@db/oncare").map(|url| url.to_string());
        assert!(!tricky.clone().unwrap_or_default().contains("ss@"), "{tricky:?}");
    }

    #[test]
    fn a_wrong_url_says_what_was_expected_and_not_what_was_given() {
        for text in
            ["", "s3cret", "mysql://u:s3cret@h/d", "postgresql://u:s3cret@h:port/d", "postgresql:///d?sslmode=s3cret"]
        {
            let error = DatabaseUrl::parse(text).unwrap_err();
            assert!(error.contains("expected") && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn every_sslmode_of_libpq_is_understood() {
        for (mode, ssl, verification) in [
            ("disable", SslMode::Disable, Verification::None),
            ("prefer", SslMode::Prefer, Verification::None),
            ("require", SslMode::Require, Verification::None),
            ("verify-ca", SslMode::Require, Verification::Authority),
            ("verify-full", SslMode::Require, Verification::Full),
        ] {
            let url = DatabaseUrl::parse(&format!("postgres://h/d?sslmode={mode}&connect_timeout=3")).unwrap();
            assert_eq!((url.config.get_ssl_mode(), url.verification), (ssl, verification));
            assert_eq!(url.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        }
    }

    #[test]
    fn a_peer_that_vanished_is_noticed_and_the_url_says_otherwise() {
        let seconds = |text: &str| {
            let config = DatabaseUrl::parse(&format!("postgres://h/d{text}")).unwrap().config;
            let (idle, interval) = (config.get_keepalives_idle(), config.get_keepalives_interval());
            let times = [config.get_tcp_user_timeout().copied(), Some(idle), interval];
            (times.map(|time| time.unwrap_or_default().as_secs()), config.get_keepalives_retries())
        };
        assert_eq!(seconds(""), ([10, 5, 2], Some(3)));
        let given = "?tcp_user_timeout=60&keepalives_idle=30&keepalives_interval=9&keepalives_count=7";
        assert_eq!(seconds(given), ([60, 30, 9], Some(7)));
        assert_eq!(seconds("?keepalives_retries=8"), ([10, 5, 2], Some(8)));
    }
}
