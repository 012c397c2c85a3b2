//! The witness of a TLS handshake: keeps the server's certificate and what was wrong with it, whoever decides about it. An expired
//! certificate is a fact worth more than an error.

use crate::{
    answer::Certificate,
    config::Verify,
    connect::tls,
    error::{Error, Kind, Result},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use secrecy::SecretString;
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};
use x509_cert::{
    Certificate as X509,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
    time::Time,
};

/// The most names of one certificate that are kept: CDNs have hundreds.
const NAMES: usize = 20;

/// Whom probes trust. Cheap to clone.
#[derive(Clone)]
pub struct HttpTrust {
    verifier: Arc<dyn ServerCertVerifier>,
    verifies: bool,
}

impl HttpTrust {
    /// The authorities of this machine. One that has none trusts nobody: what needs no TLS can be asked all the same.
    pub fn machine() -> Self {
        Self::of(tls::verifier(Verify::Full, None))
    }

    /// These authorities, in PEM form, in place of those of this machine.
    ///
    /// # Errors
    /// `Tls`: no certificate of an authority is in it.
    pub fn signed_by(ca: &SecretString) -> Result<Self> {
        Ok(Self { verifier: tls::verifier(Verify::Full, Some(ca))?, verifies: true })
    }

    /// Whoever answers: what the kubelet does in a pod, and `verify: false`.
    pub fn anybody() -> Self {
        Self { verifies: false, ..Self::of(tls::verifier(Verify::Nothing, None)) }
    }

    fn of(verifier: Result<Arc<dyn ServerCertVerifier>>) -> Self {
        Self { verifier: verifier.unwrap_or_else(|_| Arc::new(Nobody)), verifies: true }
    }

    /// A client for one handshake, and its witness.
    pub(super) fn client(&self) -> Result<(Arc<ClientConfig>, Arc<Witness>)> {
        let witness = Arc::new(Witness { trust: self.clone(), seen: Mutex::default() });
        let mut config = tls::client(witness.clone())?.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed handshake shows no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        Ok((Arc::new(config), witness))
    }
}

/// Trusts nobody: a machine without authorities.
#[derive(Debug)]
struct Nobody;

/// What it says of every certificate.
const NO_AUTHORITIES: &str = "this machine has no certificate authorities: SSL_CERT_FILE says where they are, or ca in the configuration";

impl ServerCertVerifier for Nobody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::Error::General(NO_AUTHORITIES.to_owned()))
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General(NO_AUTHORITIES.to_owned()))
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General(NO_AUTHORITIES.to_owned()))
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Sees the certificate of one handshake.
pub(super) struct Witness {
    trust: HttpTrust,
    seen: Mutex<Option<Certificate>>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

impl Witness {
    /// What it saw.
    pub fn certificate(&self) -> Option<Certificate> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.trust.verifier.verify_server_cert(cert, chain, name, ocsp, now);
        let mut seen = read(cert);
        seen.verified = self.trust.verifies && verdict.is_ok();
        seen.signer_unknown = matches!(verdict, Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        seen.refused = verdict.as_ref().err().map(|error| refusal(error, &seen, name, now));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        verdict
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.trust.verifier.verify_tls12_signature(message, cert, signed)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.trust.verifier.verify_tls13_signature(message, cert, signed)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.verifier.supported_verify_schemes()
    }
}

/// What a certificate says of itself. One that cannot be read has no names and no dates.
fn read(der: &CertificateDer<'_>) -> Certificate {
    let unreadable = Certificate {
        subject: "(unreadable)".into(),
        names: Vec::new(),
        issuer: "(unreadable)".into(),
        self_signed: false,
        not_before: None,
        not_after: None,
        refused: None,
        signer_unknown: false,
        verified: false,
    };
    let Ok(cert) = X509::from_der(der) else { return unreadable };
    let body = &cert.tbs_certificate;
    let names = body.get::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
    Certificate {
        subject: Safe::name(body.subject.to_string()).clipped(120),
        names: names.iter().filter_map(name).take(NAMES).collect(),
        issuer: Safe::name(body.issuer.to_string()).clipped(120),
        self_signed: body.subject == body.issuer,
        not_before: moment(&body.validity.not_before),
        not_after: moment(&body.validity.not_after),
        ..unreadable
    }
}

fn name(name: &GeneralName) -> Option<Safe> {
    Some(match name {
        GeneralName::DnsName(name) => Safe::name(name.as_str()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(|b| Ipv4Addr::from(b).to_string());
            let v6 = || <[u8; 16]>::try_from(bytes).map(|b| Ipv6Addr::from(b).to_string());
            Safe::name(v4.or_else(|_| v6()).ok()?)
        }
        _ => return None,
    })
}

fn moment(time: &Time) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()
}

/// Why it was refused, in words that say what to do.
fn refusal(error: &rustls::Error, seen: &Certificate, asked: &ServerName<'_>, now: UnixTime) -> Safe {
    let now = i64::try_from(now.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok());
    let away = |of: Option<Timestamp>| {
        let away = of.zip(now).map(|(at, now)| SignedDuration::from_secs(now.as_second() - at.as_second()).abs());
        away.map(units::duration).unwrap_or_default()
    };
    if matches!(error, rustls::Error::General(said) if said == NO_AUTHORITIES) {
        return NO_AUTHORITIES.into();
    }
    let rustls::Error::InvalidCertificate(what) = error else { return Safe::name(error.to_string()).clipped(160) };
    match what {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => safe!("it expired {} ago", away(seen.not_after)),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            safe!("it is good only in {}: compare the clocks", away(seen.not_before))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = if seen.names.is_empty() { "no name at all".into() } else { Safe::join(seen.names.iter().take(4), ", ") };
            safe!("it is for {}, not for {}", names, Safe::name(asked.to_str().as_bytes()))
        }
        CertificateError::UnknownIssuer if seen.self_signed => "it signed itself: nobody whom this machine trusts stands behind it".into(),
        CertificateError::UnknownIssuer => {
            safe!("no authority of this machine signed it: its issuer {} is unknown, or the server leaves an intermediate out", seen.issuer)
        }
        CertificateError::Revoked => "it was revoked".into(),
        other => Safe::name(format!("{other:?}")).clipped(160),
    }
}

/// The name that a handshake asks for.
///
/// # Errors
/// `Tls`: no certificate could have it.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Error::new(Kind::Tls, safe!("TLS with {}", Safe::name(host))).what("its name is none that a certificate could have"))
}
