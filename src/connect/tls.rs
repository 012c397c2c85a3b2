//! TLS over any stream. Verified by the authorities of this machine, or by the one that the configuration names, against the host that was
//! meant, whatever tunnel the bytes go through. Anything less is asked for by name, and warned about.

use super::{secret::Secrets, stream::Duplex};
use crate::{
    answer::Hint,
    config::{TlsSettings, UrlTls, Verify},
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WantsClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use secrecy::{ExposeSecret, SecretString};
use std::{path::Path, sync::Arc, time::Duration};
use tokio_rustls::TlsConnector;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
const SETTING_UP: &str = "setting up TLS";

/// What a connection's TLS is held to, ready to use.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// What to try when the server is not trusted.
    missing_ca: Option<Safe>,
}

impl Tls {
    /// From the configuration and from what the URL says. `trusted`: whether paths that a URL names may be read here. What its user should
    /// know is added to `warnings`.
    ///
    /// # Errors
    /// `Tls`: no certificate in what was given, or no authority on this machine; else as `Secrets::resolve`.
    pub async fn new(
        settings: &TlsSettings,
        url: Option<&UrlTls>,
        secrets: &Secrets,
        trusted: bool,
        warnings: &mut Vec<Safe>,
    ) -> Result<Self> {
        let resolve = async |value: &Option<_>| match value {
            Some(value) => secrets.resolve(value).await.map(Some),
            None => Ok(None),
        };
        let here = |path: &Option<std::path::PathBuf>| path.as_deref().filter(|_| trusted).and_then(read);
        let ca = resolve(&settings.ca).await?.or_else(|| url.and_then(|u| here(&u.ca)));
        let cert = resolve(&settings.cert).await?.or_else(|| url.and_then(|u| here(&u.cert)));
        let key = resolve(&settings.key).await?.or_else(|| url.and_then(|u| here(&u.key)));
        let verify = match settings.verify {
            Some(true) => Verify::Full,
            Some(false) => {
                warnings.push("the server's certificate is not verified: the configuration says verify: false".into());
                Verify::Nothing
            }
            None => url.map(|u| u.verify).unwrap_or_default(),
        };
        if url.is_some_and(|u| u.cert.is_some()) && cert.is_none() {
            warnings.push("the URL names a client certificate of the application's own machine: cert and key name it for obsctl".into());
        }
        let missing_ca = url.and_then(|u| u.ca.as_deref()).filter(|_| ca.is_none());
        let missing_ca = missing_ca.map(|path| {
            safe!(
                "ca: the URL names {} of the application's own machine; here it stands elsewhere",
                Safe::name(path.as_os_str().as_encoded_bytes())
            )
        });
        let config = build(verify, ca.as_ref(), cert.as_ref().zip(key.as_ref()))?;
        Ok(Self { config: Arc::new(config), missing_ca })
    }

    /// The rustls configuration, for clients that speak TLS themselves.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// TLS over a stream, verified against `host`.
    ///
    /// # Errors
    /// `Tls` with what was wrong; `Timeout`.
    pub async fn over(&self, stream: Box<dyn Duplex>, host: &str) -> Result<Box<dyn Duplex>> {
        let doing = safe!("TLS with {}", Safe::name(host));
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(Kind::Tls, doing.clone()).what("its name is none that a certificate could have"))?;
        let shake = TlsConnector::from(self.config.clone()).connect(name, stream);
        match tokio::time::timeout(HANDSHAKE, shake).await {
            Err(_) => Err(Error::new(Kind::Timeout, doing)
                .what(safe!("no answer within {} s: it may not speak TLS", HANDSHAKE.as_secs()))
                .hint(Hint::Try("the same URL without TLS (redis:// in place of rediss://)".into()))),
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(self.explain(doing, host, &error)),
        }
    }

    /// What went wrong in a handshake, in words that say what to do.
    pub fn explain(&self, doing: Safe, host: &str, error: &std::io::Error) -> Error {
        let fail = |what: Safe| Error::new(Kind::Tls, doing).what(what);
        let ca = || Hint::Set(self.missing_ca.clone().unwrap_or_else(|| "ca: the certificate of the authority that signed it".into()));
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return if matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset) {
                fail("it closed the connection in the middle of the greeting".into())
                    .hint(Hint::Try("the same URL without TLS, or a client certificate: cert and key".into()))
            } else {
                Error::new(Kind::Unreachable, safe!("TLS with {}", Safe::name(host))).what(Safe::name(error.to_string()))
            };
        };
        match tls {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                fail("its certificate is signed by nobody whom this machine trusts".into()).hint(ca())
            }
            rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
                fail(safe!("its certificate is for another name than {}", Safe::name(host)))
                    .hint(Hint::Set("the host as the certificate has it".into()))
            }
            rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                fail("its certificate has expired".into())
            }
            rustls::Error::InvalidMessage(_) => {
                fail("it does not speak TLS".into()).hint(Hint::Try("the same URL without TLS (redis:// in place of rediss://)".into()))
            }
            rustls::Error::AlertReceived(alert) => fail(safe!("it refused: {}", Safe::name(format!("{alert:?}"))))
                .hint(Hint::Try("it may ask for a client certificate: cert and key".into())),
            other => fail(Safe::name(other.to_string())).hint(ca()),
        }
    }
}

/// A file of the URL, where it exists here too.
fn read(path: &Path) -> Option<SecretString> {
    std::fs::metadata(path).ok().filter(|m| m.is_file() && m.len() <= 1 << 20)?;
    std::fs::read_to_string(path).ok().map(SecretString::from)
}

/// Who decides whether a server's certificate is good.
pub(super) fn verifier(verify: Verify, ca: Option<&SecretString>) -> Result<Arc<dyn ServerCertVerifier>> {
    let fail = |what: Safe| Error::new(Kind::Tls, SETTING_UP).what(what);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (verify, ca) {
        (Verify::Nothing, _) => Arc::new(Unverified(provider)),
        (_, None) => Arc::new(Verifier::new(provider).map_err(|_| {
            fail("this machine has no certificate authorities".into())
                .hint(Hint::Set("ca: the certificate of the server's authority".into()))
        })?),
        (_, Some(pem)) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(pem, "ca")?);
            let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            roots.map_err(|_| fail("ca holds no certificate that could be an authority".into()))?
        }
    };
    Ok(if verify == Verify::Chain { Arc::new(AnyName(verifier)) } else { verifier })
}

/// A client that trusts whom this verifier trusts.
pub(super) fn client(verifier: Arc<dyn ServerCertVerifier>) -> Result<rustls::ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::new(Kind::Bug, SETTING_UP).what("no protocol version is left"))?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier))
}

fn build(verify: Verify, ca: Option<&SecretString>, identity: Option<(&SecretString, &SecretString)>) -> Result<ClientConfig> {
    let fail = |what: Safe| Error::new(Kind::Tls, SETTING_UP).what(what);
    let config = client(verifier(verify, ca)?)?;
    let Some((cert, key)) = identity else { return Ok(config.with_no_client_auth()) };
    let key =
        PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| fail("key holds no private key in PEM form".into()))?;
    config.with_client_auth_cert(certificates(cert, "cert")?, key).map_err(|_| fail("cert and key do not belong together".into()))
}

fn certificates(pem: &SecretString, key: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.expose_secret().as_bytes()).filter_map(|c| c.ok()).collect();
    if all.is_empty() {
        return Err(Error::new(Kind::Tls, SETTING_UP).what(safe!("{} holds no certificate in PEM form", key)));
    }
    Ok(all)
}

/// Whoever answers is taken for the server.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// As the one within, but for the name.
#[derive(Debug)]
struct AnyName(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(cert, chain, name, ocsp, now) {
            // The name is looked at last: all else was good.
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
