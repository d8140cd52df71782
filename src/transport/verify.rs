//! Configures rustls with the trusted certificates and the client's own; and explains certificate errors in words.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use super::trust::{Pem, Trust};

/// Returns the configuration, or why it is impossible.
pub(super) fn config(trust: &Trust) -> Result<Arc<ClientConfig>, String> {
    // Passed explicitly and not installed: the default of the process is the host's choice.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust.anybody {
        true => Arc::new(Anybody(Arc::clone(&provider))),
        false => {
            let roots = Arc::new(roots(trust.ca.as_ref())?);
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|e| e.to_string())?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &trust.own else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_slice(&key.content)
        .map_err(|e| format!("{} holds no key that can be read: {e}", key.name))?;
    let config = builder
        .with_client_auth_cert(chain, secret)
        .map_err(|e| format!("{} and {} do not match: {e}", certificate.name, key.name))?;
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Pem>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for certificate in certificates(ca)? {
                roots
                    .add(certificate)
                    .map_err(|e| format!("{} holds no certificate to trust: {e}", ca.name))?;
            }
        }
        None => {
            let found = crate::local::aside(rustls_native_certs::load_native_certs);
            // Some of a system's certificates are often invalid; the others are enough.
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = found.errors.first().map(|e| format!(" ({e})"));
                return Err(format!(
                    "there is no ca.pem, and this system has no certificates to trust{}",
                    why.unwrap_or_default()
                ));
            }
        }
    }
    Ok(roots)
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.content).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{} holds no certificate", pem.name)),
        Err(e) => Err(format!("{} cannot be read: {e}", pem.name)),
    }
}

/// Accepts any server that has the key of the certificate it presents.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Explains an error for a user who does not know TLS.
pub(super) fn explain(error: &Error) -> String {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, DecryptError, HandshakeFailure, ProtocolVersion, UnknownCA,
        UnsupportedCertificate,
    };
    match error {
        Error::InvalidCertificate(why) => {
            let what = match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "it has expired"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet"
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => "it is for another name",
                // The second occurs if the certificate has the name of a trusted CA but was signed with another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "it is not signed by a trusted CA"
                }
                _ => "it is invalid",
            };
            format!("the engine's certificate is refused: {what} ({why})")
        }
        Error::AlertReceived(alert) => match alert {
            CertificateRequired => String::from(
                "the engine requires a client certificate (cert.pem and key.pem), and there is none",
            ),
            AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRevoked
            | CertificateUnknown
            | DecryptError
            | UnknownCA
            | UnsupportedCertificate => {
                format!("the engine refuses the client certificate, or requires one ({alert:?})")
            }
            HandshakeFailure | ProtocolVersion => {
                format!("the engine and this library have no kind of TLS in common ({alert:?})")
            }
            _ => format!("the engine ended the TLS connection ({alert:?})"),
        },
        Error::InvalidMessage(_) => {
            format!("the server does not speak TLS: plain HTTP, most likely ({error})")
        }
        _ => format!("TLS failed: {error}"),
    }
}
