//! TLS to the database, with the certificate checked as libpq checks it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::StoreError;

/// How the server's certificate is checked, as `sslmode` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Verification {
    /// Encrypted, the certificate unchecked: `prefer`, `require`.
    None,
    /// Signed by a trusted authority, for whatever name: `verify-ca`, and whatever else names authorities.
    Authority,
    /// Signed, and for the host's name: `verify-full`.
    Full,
}

/// Connects with TLS and this verification, against the certificates of that file, else those that the machine trusts.
///
/// # Errors
/// If there is none to verify against, or the file can't be read.
pub(in crate::store) fn connector(
    verification: Verification,
    root_certificate: Option<&Path>,
) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| StoreError::unreadable("the TLS settings", cause))?;
    let verifier = match verification {
        Verification::None => AsLibpq::unchecked(provider),
        Verification::Authority => AsLibpq::checked(trusted(root_certificate)?, false, provider)?,
        Verification::Full => AsLibpq::checked(trusted(root_certificate)?, true, provider)?,
    };
    let tls = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(MakeRustlsConnect::new(tls))
}

fn trusted(root_certificate: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let Some(path) = root_certificate else {
        let trusted = rustls_native_certs::load_native_certs().certs;
        return if trusted.is_empty() {
            let told =
                "this machine trusts no authority: name a file of certificates with sslrootcert in the database URL";
            Err(StoreError::Unsuitable(told.to_owned()))
        } else {
            Ok(trusted)
        };
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let path = path.display();
    match read {
        Ok(trusted) if trusted.is_empty() => {
            Err(StoreError::Unsuitable(format!("there is no certificate in sslrootcert {path}")))
        }
        Ok(trusted) => Ok(trusted),
        Err(cause) => {
            Err(StoreError::Unsuitable(format!("could not read certificates from sslrootcert {path}: {cause}")))
        }
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
                "none of the trusted certificates can be used: name a file of others with sslrootcert".to_owned(),
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
