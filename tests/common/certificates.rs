//! Certificates created on the spot: a CA, and what it signs, valid and invalid.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Signed {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    Now,
    NoLonger,
    NotYet,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub fn server(&self, host: &str, valid: Valid) -> Signed {
        self.sign(
            vec![host.to_owned()],
            valid,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    pub fn client(&self) -> Signed {
        let purpose = ExtendedKeyUsagePurpose::ClientAuth;
        self.sign(vec![String::from("client")], Valid::Now, purpose)
    }

    fn sign(&self, names: Vec<String>, valid: Valid, purpose: ExtendedKeyUsagePurpose) -> Signed {
        let mut params = CertificateParams::new(names).expect("parameters");
        params.extended_key_usages = vec![purpose];
        let (from, until) = match valid {
            Valid::Now => (2020, 2090),
            Valid::NoLonger => (2020, 2021),
            Valid::NotYet => (2089, 2090),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Signed {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// The directory for `DOCKER_CERT_PATH`: the CA to trust, and the client's certificate.
    pub fn write(&self, folder: &Path, own: Option<&Signed>) {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join("ca.pem"), self.0.pem()).expect("written");
        if let Some(own) = own {
            own.write(folder, "cert.pem", "key.pem");
        }
    }
}

impl Signed {
    pub fn write(&self, folder: &Path, certificate: &str, key: &str) {
        std::fs::write(folder.join(certificate), &self.pem).expect("written");
        std::fs::write(folder.join(key), self.key.serialize_pem()).expect("written");
    }

    /// The configuration of a TLS server, which requires `clients`' certificates if it requires any.
    pub fn serving(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(Authority(authority)) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).expect("a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let config = builder.with_single_cert(vec![self.certificate.clone()], key);
        Arc::new(config.expect("a server"))
    }
}
