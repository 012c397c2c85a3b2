//! Web servers of a test's own: a real nginx, certificates good and bad, and a server that answers with bytes no decent one would send.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use tempfile::TempDir;

use crate::failure::{Doing, Failure, Result};
use crate::need::{self, need};
use crate::ports;
use crate::process::Start;
use crate::wait;

/// A running nginx. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    _dir: TempDir,
}

impl Nginx {
    /// With these blocks inside of `http`; ready when one of the ports that they listen on answers.
    pub fn start(blocks: &str, port: u16) -> Result<Self> {
        need::all("nginx", &[need("/usr/sbin/nginx", "nginx")])?;
        let dir = tempfile::tempdir().doing(|| "making a folder")?;
        let at = dir.path().display();
        let temporary: String =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {at}/{kind};\n")).concat();
        let conf = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\nhttp {{ access_log off;\n{temporary}{blocks}\n}}\n"
        );
        let path = dir.path().join("nginx.conf");
        fs::write(&path, conf).doing(|| "writing nginx.conf")?;
        let child = Start::new("nginx", "/usr/sbin/nginx").args(["-p", "/tmp", "-e", "stderr", "-c"]).arg(&path).child()?;
        let mut nginx = Self { child, _dir: dir };
        wait::poll(Duration::from_secs(20), || match nginx.child.try_wait() {
            Ok(None) if ports::answers(SocketAddr::from(([127, 0, 0, 1], port))) => Ok(()),
            state => Err(format!("nginx does not answer on {port}: {state:?}")),
        })?;
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority that signs what a test wants, into a folder of its own.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
    key: String,
    name: &'static str,
}

/// Two files of nginx: a certificate with its chain, and its key.
#[derive(Clone, Debug)]
pub struct Signed {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &'static str) -> Result<Self> {
        let key = KeyPair::generate().doing(|| "making a key")?;
        let root = authority(name)?.self_signed(&key).doing(|| "signing the authority")?;
        let dir = tempfile::tempdir().doing(|| "making a folder")?;
        fs::write(dir.path().join("ca.pem"), root.pem()).doing(|| "writing the authority")?;
        Ok(Self { dir, key: key.serialize_pem(), name })
    }

    /// The file that trusts it.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for these names, good from so many days from now until so many days from now.
    pub fn sign(&self, file: &str, names: &[&str], days: std::ops::Range<i64>) -> Result<Signed> {
        let issuer = Issuer::new(authority(self.name)?, KeyPair::from_pem(&self.key).doing(|| "reading the authority's key")?);
        let key = KeyPair::generate().doing(|| "making a key")?;
        let certificate = leaf(names, days)?.signed_by(&key, &issuer).doing(|| "signing")?;
        write(self.dir.path(), file, &certificate.pem(), &key)
    }

    /// One that signed itself.
    pub fn self_signed(&self, file: &str, names: &[&str]) -> Result<Signed> {
        let key = KeyPair::generate().doing(|| "making a key")?;
        let certificate = leaf(names, -1..90)?.self_signed(&key).doing(|| "signing")?;
        write(self.dir.path(), file, &certificate.pem(), &key)
    }

    /// One signed by an intermediate authority that the server leaves out.
    pub fn broken_chain(&self, file: &str, names: &[&str]) -> Result<Signed> {
        let between = KeyPair::generate().doing(|| "making a key")?;
        let issuer = Issuer::new(authority("lab intermediate")?, between);
        let key = KeyPair::generate().doing(|| "making a key")?;
        let certificate = leaf(names, -1..90)?.signed_by(&key, &issuer).doing(|| "signing")?;
        write(self.dir.path(), file, &certificate.pem(), &key)
    }
}

fn authority(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(|error| Failure::new(error.to_string()))?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf(names: &[&str], days: std::ops::Range<i64>) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
    for name in names {
        params.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(Ia5String::try_from(*name).doing(|| format!("naming {name}"))?),
        });
    }
    let at = |days: i64| {
        let span = Duration::from_secs(days.unsigned_abs() * 86_400 + 3_600);
        if days < 0 { SystemTime::now() - span } else { SystemTime::now() + span }
    };
    params.not_before = at(days.start).into();
    params.not_after = at(days.end).into();
    Ok(params)
}

fn write(dir: &Path, file: &str, certificate: &str, key: &KeyPair) -> Result<Signed> {
    let signed = Signed { certificate: dir.join(format!("{file}.pem")), key: dir.join(format!("{file}.key")) };
    fs::write(&signed.certificate, certificate).doing(|| "writing a certificate")?;
    fs::write(&signed.key, key.serialize_pem()).doing(|| "writing a key")?;
    Ok(signed)
}

/// What a [`Scripted`] server does with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// These bytes, then the end.
    Say(Vec<u8>),
    /// These bytes after so long.
    SayLate(Duration, Vec<u8>),
    /// These bytes, then one byte at a time for ever.
    Trickle(Vec<u8>),
    /// A head, then a body of so many bytes.
    Pour(u64),
    /// These bytes, then a reset.
    Reset(Vec<u8>),
    /// Nothing, for ever.
    Hang,
}

/// A server that answers each path as it is told, and keeps what it was asked.
#[derive(Debug)]
pub struct Scripted {
    at: SocketAddr,
    closed: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<String>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// `script` is asked with each path.
    pub fn start(script: impl Fn(&str) -> Act + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").doing(|| "opening a port")?;
        let at = listener.local_addr().doing(|| "asking for the port")?;
        let (closed, asked) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<String>>>::default());
        let told = Arc::<Mutex<Vec<String>>>::default();
        let server = Self { at, closed: Arc::clone(&closed), asked: Arc::clone(&asked), told: Arc::clone(&told) };
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if closed.load(Ordering::Relaxed) {
                    return;
                }
                let (script, asked, told, closed) = (Arc::clone(&script), Arc::clone(&asked), Arc::clone(&told), Arc::clone(&closed));
                thread::spawn(move || serve(stream, &*script, &asked, &told, &closed));
            }
        });
        Ok(server)
    }

    /// `http://127.0.0.1:PORT` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// The heads of the requests so far, in lower case.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bodies of the requests that had one, before they were answered.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.at);
    }
}

fn serve(
    mut stream: TcpStream,
    script: &dyn Fn(&str) -> Act,
    asked: &Mutex<Vec<String>>,
    told: &Mutex<Vec<String>>,
    closed: &AtomicBool,
) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    if length > 0 {
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        told.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(&body).into_owned());
    }
    match script(&path) {
        Act::Say(bytes) => stream.write_all(&bytes).ok()?,
        Act::SayLate(late, bytes) => {
            thread::sleep(late);
            stream.write_all(&bytes).ok()?;
        }
        Act::Trickle(bytes) => {
            stream.write_all(&bytes).ok()?;
            while !closed.load(Ordering::Relaxed) {
                stream.write_all(b"x").ok()?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        Act::Pour(size) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n").ok()?;
            let chunk = vec![b'x'; 1 << 16];
            for _ in 0..size / chunk.len() as u64 {
                stream.write_all(&chunk).ok()?;
            }
        }
        Act::Reset(bytes) => {
            stream.write_all(&bytes).ok()?;
            // What lies unread makes the kernel reset the connection.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
            reset(stream);
        }
        Act::Hang => {
            while !closed.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
    Some(())
}

/// Closes with a reset in place of an end.
fn reset(stream: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

/// A whole answer with this status and body.
pub fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A redirect.
pub fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}
