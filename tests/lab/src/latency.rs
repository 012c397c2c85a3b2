//! A network that is far away: a TCP proxy that holds every byte back for half of a round trip, and counts round trips.
//!
//! The first bytes of a connection wait a whole round trip longer: that is the handshake which a real network would have cost.

use std::io::{ErrorKind, Read, Write, stdin, stdout};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Result};

/// How many chunks of a connection may be on their way; a round trip holds no more than that.
const IN_FLIGHT: usize = 1024;

/// What went through the proxy.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU64,
    questions: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    /// How many connections were opened.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
    /// How often a client spoke after the server had: with the handshakes of TCP, the round trips of all connections together.
    pub fn questions(&self) -> u64 {
        self.questions.load(Ordering::Relaxed)
    }
    /// What the servers sent.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// `lab latency-proxy TO MS`: says its own address; answers each line of its standard input with the counts since the last one;
/// ends with its standard input.
pub fn command(to: &str, ms: &str) -> Result<String> {
    let ms: u64 = ms.parse().doing(|| "reading the milliseconds")?;
    let listener = TcpListener::bind("127.0.0.1:0").doing(|| "opening a port")?;
    let mut said = vec![listener.local_addr().doing(|| "asking for the port")?.to_string()];
    let counts = Arc::new(Counts::default());
    serve(listener, to.to_owned(), Duration::from_millis(ms), &counts);
    let (mut connections, mut questions, mut bytes) = (0, 0, 0);
    loop {
        let mut out = stdout().lock();
        writeln!(out, "{}", said.join(" ")).and_then(|()| out.flush()).doing(|| "saying what was counted")?;
        if stdin().read_line(&mut String::new()).doing(|| "reading the standard input")? == 0 {
            return Ok(String::new());
        }
        let now = (counts.connections(), counts.questions(), counts.bytes());
        said = [now.0 - connections, now.1 - questions, now.2 - bytes].map(|count| count.to_string()).to_vec();
        (connections, questions, bytes) = now;
    }
}

/// Takes connections until the process ends.
pub fn serve(listener: TcpListener, to: String, round_trip: Duration, counts: &Arc<Counts>) {
    let counts = counts.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (to, counts) = (to.clone(), counts.clone());
            counts.connections.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || connection(client, &to, round_trip, &counts));
        }
    });
}

fn connection(client: TcpStream, to: &str, round_trip: Duration, counts: &Arc<Counts>) -> Option<()> {
    let server = TcpStream::connect(to).ok()?;
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let opened = Instant::now() + round_trip;
    // Whose turn it was: a client that speaks after its server asks something new.
    let server_spoke = Arc::new(AtomicU64::new(1));
    let (clients, servers) = ((client.try_clone().ok()?, server.try_clone().ok()?), (server, client));
    let up = {
        let (spoke, counts) = (server_spoke.clone(), counts.clone());
        pump(clients.0, clients.1, opened, round_trip / 2, move |_| {
            counts.questions.fetch_add(spoke.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        })
    };
    let counts = counts.clone();
    let down = pump(servers.0, servers.1, opened, round_trip / 2, move |bytes| {
        server_spoke.store(1, Ordering::Relaxed);
        counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    });
    let _ = (up.join(), down.join());
    Some(())
}

/// One direction: every chunk arrives `delay` after it was sent, the first not before the connection is `opened`.
fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    opened: Instant,
    delay: Duration,
    saw: impl Fn(usize) + Send + 'static,
) -> thread::JoinHandle<()> {
    let (send, arrive) = mpsc::sync_channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let writer = thread::spawn(move || {
        for (at, chunk) in arrive {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&chunk).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    saw(read);
                    let at = Instant::now().max(opened) + delay;
                    if send.send((at, buffer[..read].to_vec())).is_err() {
                        break;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        drop(send);
        let _ = writer.join();
    })
}

/// For the tests: an address that answers each line with itself.
#[cfg(test)]
fn echo() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").doing(|| "opening a port")?;
    let at = listener.local_addr().doing(|| "asking for the port")?.to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(mut back) = stream.try_clone() else { return };
            thread::spawn(move || std::io::copy(&mut stream, &mut back));
        }
    });
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_costs_a_round_trip_and_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        serve(listener, echo().unwrap(), Duration::from_millis(40), &counts);
        let begun = Instant::now();
        let mut stream = TcpStream::connect(at).unwrap();
        for _ in 0..3 {
            stream.write_all(b"what").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        }
        // The handshake and three questions.
        assert!(begun.elapsed() >= Duration::from_millis(160), "{:?}", begun.elapsed());
        assert_eq!((counts.connections(), counts.questions(), counts.bytes()), (1, 3, 12));
    }
}
