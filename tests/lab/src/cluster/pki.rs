//! The cluster's keys and certificates (ECDSA, made in milliseconds) and the kubeconfig files that hold them.
//!
//! The authority's key lies in the run's folder: a test that needs a user of its own signs its certificate itself.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use serde_json::{Value, json};

use crate::failure::{Doing, Failure, Result};

/// Where the files of one cluster lie.
#[derive(Clone, Debug)]
pub struct Pki {
    dir: PathBuf,
}

/// A certificate with its key, as PEM.
#[derive(Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Pki {
    /// A new authority and a new key for service-account tokens.
    pub fn make(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).doing(|| format!("making {}", dir.display()))?;
        let pki = Self { dir: dir.to_owned() };
        let key = KeyPair::generate().doing(|| "making a key")?;
        let authority = authority()?.self_signed(&key).doing(|| "signing the authority")?;
        pki.write("ca.pem", &authority.pem())?;
        pki.write("ca.key", &key.serialize_pem())?;
        let tokens = KeyPair::generate().doing(|| "making a key")?;
        pki.write("sa.key", &tokens.serialize_pem())?;
        pki.write("sa.pub", &tokens.public_key_pem())?;
        Ok(pki)
    }

    pub fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A server's certificate for these names and addresses, written as `NAME.pem` and `NAME.key`.
    pub fn server(&self, name: &str, names: &[&str], addresses: &[IpAddr]) -> Result<()> {
        let identity = self.sign(name, None, names, addresses)?;
        self.write(&format!("{name}.pem"), &identity.certificate)?;
        self.write(&format!("{name}.key"), &identity.key)
    }

    /// A client's certificate: `user` is its name to Kubernetes, `group` its group.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        self.sign(user, group, &[], &[])
    }

    /// A server's certificate that lies in no file.
    pub fn identity(&self, name: &str, names: &[&str], addresses: &[IpAddr]) -> Result<Identity> {
        self.sign(name, None, names, addresses)
    }

    fn sign(&self, name: &str, group: Option<&str>, names: &[&str], addresses: &[IpAddr]) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        for name in names {
            let name = Ia5String::try_from(*name).doing(|| format!("naming {name}"))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::from_pem(&self.read("ca.key")?).doing(|| "reading the authority's key")?;
        let issuer = Issuer::new(authority()?, key);
        let key = KeyPair::generate().doing(|| "making a key")?;
        let certificate = params.signed_by(&key, &issuer).doing(|| format!("signing the certificate of {name}"))?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// A token in the cluster's own name, with any claims: the way to one that has expired.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let pem = self.read("sa.key")?;
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = STANDARD.decode(body).doing(|| "decoding the token key")?;
        let random = ring::rand::SystemRandom::new();
        let key = ring::signature::EcdsaKeyPair::from_pkcs8(&ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random)
            .doing(|| "reading the token key")?;
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "ES256", "typ": "JWT"}).to_string());
        let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = key.sign(&random, text.as_bytes()).doing(|| "signing a token")?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// A kubeconfig whose only context, named `lab`, is this user in this namespace. JSON is YAML.
    pub fn kubeconfig(&self, server: &str, namespace: &str, user: &Value) -> Result<String> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {
                "server": server,
                "certificate-authority-data": STANDARD.encode(self.read("ca.pem")?),
            }}],
            "users": [{"name": "lab", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": namespace}}],
            "current-context": "lab",
        });
        serde_json::to_string_pretty(&config).doing(|| "writing a kubeconfig")
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).doing(|| format!("reading {}", self.path(name).display()))
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.path(name);
        fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
            .doing(|| format!("writing {}", path.display()))
    }
}

impl Identity {
    /// The `user` entry of a kubeconfig.
    pub fn user(&self) -> Value {
        json!({
            "client-certificate-data": STANDARD.encode(&self.certificate),
            "client-key-data": STANDARD.encode(&self.key),
        })
    }
}

/// The same parameters whenever it signs: its name is what ties a certificate to it.
fn authority() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(|error| Failure::new(error.to_string()))?;
    params.distinguished_name.push(DnType::CommonName, "obsctl lab");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    Ok(params)
}
