//! A proxy before the real API server that terminates TLS, so that it can fail inside of an answer: in the middle of a line, as a gateway
//! does; with a status of its own; with an error's text under HTTP 200. It speaks HTTP/1.1, one request for each connection.
//!
//! What a client presents as its own identity is not passed on: behind the proxy everybody is the administrator.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use super::Info;
use super::pki::{Identity, Pki};
use crate::failure::{Doing, Failure, Result};

/// What happens to an answer. Bytes are those of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFault {
    /// After so many bytes the connection is gone, without an end of any kind.
    Cut(usize),
    /// After so many bytes the answer ends in order, as at a gateway's time limit.
    End(usize),
    /// After so many bytes nothing comes any more, and the connection stays open.
    HalfOpen(usize),
    /// After so many bytes nothing comes for this long, then all of it.
    Stall(usize, Duration),
    /// So many bytes at a time, so far apart.
    Trickle(usize, Duration),
    /// After the line in which so many bytes are reached this one comes, and the end in order: how a node's errors arrive.
    Text(usize, &'static str),
    /// The server is not asked: this status, and after how many seconds it may be asked again.
    Status(u16, Option<u64>),
}

struct Rule {
    words: Vec<String>,
    left: usize,
    fault: ApiFault,
}

struct Shared {
    server: SocketAddr,
    name: ServerName<'static>,
    inside: Arc<ServerConfig>,
    outside: Arc<ClientConfig>,
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<Vec<(Instant, String)>>,
    open: Mutex<Vec<TcpStream>>,
    closed: AtomicBool,
}

/// A running proxy. Dropping it ends it with all of its connections.
pub struct ApiProxy {
    at: SocketAddr,
    shared: Arc<Shared>,
    folder: TempDir,
}

impl ApiProxy {
    pub(crate) fn start(pki: &Pki, info: &Info) -> Result<Self> {
        let authority = std::fs::read(pki.path("ca.pem")).doing(|| "reading the authority")?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&authority)?).doing(|| "trusting the authority")?;
        let local = pki.identity("fault-proxy", &["localhost"], &[IpAddr::from([127, 0, 0, 1])])?;
        let admin = pki.client("lab-admin", Some("system:masters"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inside = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .doing(|| "choosing TLS")?
            .with_no_client_auth()
            .with_single_cert(vec![certificate(local.certificate.as_bytes())?], key(&local)?)
            .doing(|| "loading the proxy's certificate")?;
        let outside = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .doing(|| "choosing TLS")?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate(admin.certificate.as_bytes())?], key(&admin)?)
            .doing(|| "loading the administrator's certificate")?;
        let server: SocketAddr = info.api.trim_start_matches("https://").parse().doing(|| "reading the server's address")?;
        let listener = TcpListener::bind("127.0.0.1:0").doing(|| "opening a port")?;
        let at = listener.local_addr().doing(|| "asking for the port")?;
        let shared = Arc::new(Shared {
            server,
            name: ServerName::from(server.ip()),
            inside: Arc::new(inside),
            outside: Arc::new(outside),
            rules: Mutex::default(),
            asked: Mutex::default(),
            open: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ours.closed.load(Ordering::Relaxed) {
                    return;
                }
                let ours = Arc::clone(&ours);
                // A client that goes away in the middle is its own matter.
                thread::spawn(move || drop(ours.serve(client)));
            }
        });
        let folder = tempfile::tempdir().doing(|| "making a folder")?;
        let user = json!({"token": "not-passed-on"});
        let text = pki.kubeconfig(&format!("https://{at}"), "default", &user)?;
        std::fs::write(folder.path().join("kubeconfig"), text).doing(|| "writing a kubeconfig")?;
        Ok(Self { at, shared, folder })
    }

    /// The way through it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The next `times` requests whose path and query hold all of these words get this fault; faults that were set before come first.
    pub fn fail(&self, words: &str, times: usize, fault: ApiFault) {
        let words = words.split_whitespace().map(str::to_owned).collect();
        lock(&self.shared.rules).push(Rule { words, left: times, fault });
    }

    /// From now on nothing is wrong with new requests.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Ends every connection that is open now, without an end of any kind.
    pub fn hang_up(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// When which requests came whose path and query hold all of these words.
    pub fn asked(&self, words: &str) -> Vec<(Instant, String)> {
        let all = lock(&self.shared.asked);
        all.iter().filter(|(_, path)| words.split_whitespace().all(|word| path.contains(word))).cloned().collect()
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.at);
        self.hang_up();
    }
}

fn certificate(pem: &[u8]) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem).map_err(|error| Failure::new(format!("reading a certificate: {error}")))
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|error| Failure::new(format!("reading a key: {error}")))
}

type Client = StreamOwned<ServerConnection, TcpStream>;
type Server = BufReader<StreamOwned<ClientConnection, TcpStream>>;

impl Shared {
    fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        lock(&self.open).push(client.try_clone()?);
        let tls = ServerConnection::new(Arc::clone(&self.inside)).map_err(std::io::Error::other)?;
        let mut client = BufReader::new(StreamOwned::new(tls, client));
        let (mut head, mut path) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if client.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if head.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            if line == "\r\n" {
                break;
            }
            if !matches!(name.as_str(), "authorization" | "connection" | "host") {
                head.push_str(&line);
            }
        }
        head.push_str(&format!("Host: {}\r\nConnection: close\r\n\r\n", self.server));
        let mut client = client.into_inner();
        lock(&self.asked).push((Instant::now(), path.clone()));
        let fault = self.fault(&path);
        if let Some(ApiFault::Status(status, after)) = fault {
            return refuse(&mut client, status, after);
        }
        let socket = TcpStream::connect(self.server)?;
        socket.set_nodelay(true)?;
        lock(&self.open).push(socket.try_clone()?);
        let tls = ClientConnection::new(Arc::clone(&self.outside), self.name.clone()).map_err(std::io::Error::other)?;
        let mut server = StreamOwned::new(tls, socket);
        server.write_all(head.as_bytes())?;
        let mut server = BufReader::new(server);
        let (head, body) = answer_head(&mut server)?;
        client.write_all(head.as_bytes())?;
        client.flush()?;
        let ended = self.relay(&mut server, body, &mut client, fault);
        let _ = client.sock.shutdown(Shutdown::Both);
        ended
    }

    fn fault(&self, path: &str) -> Option<ApiFault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| rule.left > 0 && rule.words.iter().all(|word| path.contains(word)))?;
        rule.left -= 1;
        Some(rule.fault)
    }

    /// The body, chunk by chunk, with its fault.
    fn relay(&self, server: &mut Server, mut body: Body, client: &mut Client, fault: Option<ApiFault>) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let (mut passed, mut last) = (0, b'\n');
        let mut stalled = false;
        loop {
            let most =
                match fault {
                    Some(ApiFault::Trickle(bytes, pause)) => {
                        thread::sleep(pause);
                        bytes
                    }
                    Some(ApiFault::Text(at, _)) if passed >= at && last != b'\n' => 1,
                    Some(ApiFault::Cut(at) | ApiFault::End(at) | ApiFault::HalfOpen(at) | ApiFault::Text(at, _)) if passed >= at => {
                        return self.ends(client, fault);
                    }
                    Some(ApiFault::Stall(at, pause)) if passed >= at && !stalled => {
                        stalled = true;
                        thread::sleep(pause);
                        buffer.len()
                    }
                    Some(
                        ApiFault::Cut(at) | ApiFault::End(at) | ApiFault::HalfOpen(at) | ApiFault::Text(at, _) | ApiFault::Stall(at, _),
                    ) if passed < at => at - passed,
                    _ => buffer.len(),
                };
            let most = most.min(buffer.len());
            let read = body.read(server, &mut buffer[..most])?;
            if read == 0 {
                client.write_all(b"0\r\n\r\n")?;
                return client.flush();
            }
            passed += read;
            last = buffer[read - 1];
            client.write_all(format!("{read:x}\r\n").as_bytes())?;
            client.write_all(&buffer[..read])?;
            client.write_all(b"\r\n")?;
            client.flush()?;
        }
    }

    fn ends(&self, client: &mut Client, fault: Option<ApiFault>) -> std::io::Result<()> {
        match fault {
            Some(ApiFault::End(_)) => client.write_all(b"0\r\n\r\n")?,
            Some(ApiFault::Text(_, text)) => {
                client.write_all(format!("{:x}\r\n{text}\n\r\n0\r\n\r\n", text.len() + 1).as_bytes())?;
            }
            Some(ApiFault::HalfOpen(_)) => {
                // The client's own end, or ours, is what ends it.
                let _ = client.sock.read(&mut [0; 1024]);
                while !self.closed.load(Ordering::Relaxed) && client.sock.peek(&mut [0]).is_ok_and(|read| read > 0) {
                    thread::sleep(Duration::from_millis(100));
                }
            }
            _ => return Ok(()),
        }
        client.flush()
    }
}

/// How the end of a server's answer is known.
enum Body {
    Chunks { left: usize, over: bool },
    Length(usize),
}

impl Body {
    fn read(&mut self, server: &mut Server, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Length(left) => {
                let most = buffer.len().min(*left);
                let read = server.read(&mut buffer[..most])?;
                *left -= read;
                Ok(read)
            }
            Self::Chunks { over: true, .. } => Ok(0),
            Self::Chunks { left, over } => {
                if *left == 0 {
                    let mut line = String::new();
                    server.read_line(&mut line)?;
                    *left = usize::from_str_radix(line.trim(), 16).map_err(|_| std::io::Error::from(ErrorKind::InvalidData))?;
                    if *left == 0 {
                        *over = true;
                        return Ok(0);
                    }
                }
                let most = buffer.len().min(*left);
                let read = server.read(&mut buffer[..most])?;
                *left -= read;
                if *left == 0 {
                    server.read_exact(&mut [0; 2])?;
                }
                if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
            }
        }
    }
}

/// The head of the server's answer as the client gets it: its own framing, and a connection that is closed afterwards.
fn answer_head(server: &mut Server) -> std::io::Result<(String, Body)> {
    let mut head = String::new();
    let mut body = Body::Length(0);
    loop {
        let mut line = String::new();
        if server.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "\r\n" => break,
            "content-length" => body = Body::Length(value.trim().parse().unwrap_or(0)),
            "transfer-encoding" => body = Body::Chunks { left: 0, over: false },
            "connection" => {}
            _ => head.push_str(&line),
        }
    }
    head.push_str("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    Ok((head, body))
}

fn refuse(client: &mut Client, status: u16, after: Option<u64>) -> std::io::Result<()> {
    let text = match status {
        401 => "Unauthorized",
        429 => "Too many requests, please try again later.",
        _ => "Internal error occurred: the lab wants it so",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": text, "code": status}).to_string();
    let after = after.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{after}Connection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body.as_bytes())?;
    client.flush()?;
    client.sock.shutdown(Shutdown::Both)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
