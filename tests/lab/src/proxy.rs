//! A TCP proxy before a real server: a network that is far away, or one that fails in a chosen way at a chosen byte.
//!
//! Distance: every byte is held back for half of a round trip, and the first ones of a connection for a whole one longer: that is
//! the handshake which a real network would have cost. Round trips are counted.
//!
//! Faults ([`Fault`]) are in what the server says, and can be changed while connections are open. What a client says is passed on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Doing, Result};

/// How many chunks of a connection may be on their way; a round trip holds no more than that.
const IN_FLIGHT: usize = 1024;

/// What happens to the server's answers from now on. Bytes are counted for each connection, from the moment the fault is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    Pass,
    /// The connection ends, as in order, after so many bytes.
    Cut(usize),
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// After so many bytes nothing comes any more, and the connection stays open.
    Stall(usize),
    /// One byte at a time, so far apart.
    Trickle(Duration),
    /// After so many bytes others come in place of the server's, as many as it sends.
    Garbage(usize),
}

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

/// A running proxy. Dropping it ends it with all of its connections.
#[derive(Debug)]
pub struct Proxy {
    at: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: String,
    round_trip: Duration,
    counts: Counts,
    switch: Switch,
    closed: AtomicBool,
    open: Mutex<Vec<Weak<TcpStream>>>,
}

impl Proxy {
    /// Before this `host:port`, and no further away than it is.
    pub fn before(to: impl Into<String>) -> Result<Self> {
        Self::far(to, Duration::ZERO)
    }

    /// So far away.
    pub fn far(to: impl Into<String>, round_trip: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").doing(|| "opening a port")?;
        let at = listener.local_addr().doing(|| "asking for the port")?;
        let shared = Arc::new(Shared {
            to: to.into(),
            round_trip,
            counts: Counts::default(),
            switch: Switch::default(),
            closed: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ours.closed.load(Ordering::Relaxed) {
                    return;
                }
                ours.counts.connections.fetch_add(1, Ordering::Relaxed);
                let ours = Arc::clone(&ours);
                thread::spawn(move || connection(client, &ours));
            }
        });
        Ok(Self { at, shared })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    pub fn port(&self) -> u16 {
        self.at.port()
    }

    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// From now on, for connections that are open and for new ones. What has been stalled goes on if the fault lets it.
    pub fn set(&self, fault: Fault) {
        self.shared.switch.set(fault);
    }

    /// Ends every connection that is open now; new ones are taken.
    pub fn hang_up(&self) {
        for stream in lock(&self.shared.open).drain(..).filter_map(|stream| stream.upgrade()) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.shared.switch.wake();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.at);
        self.shared.switch.set(Fault::Pass);
        self.hang_up();
    }
}

fn connection(client: TcpStream, shared: &Arc<Shared>) -> Option<()> {
    let (client, server) = (Arc::new(client), Arc::new(TcpStream::connect(&shared.to).ok()?));
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    lock(&shared.open).extend([Arc::downgrade(&client), Arc::downgrade(&server)]);
    let opened = Instant::now() + shared.round_trip;
    // Whose turn it was: a client that speaks after its server asks something new.
    let server_spoke = Arc::new(AtomicU64::new(1));
    let up = {
        let (spoke, shared) = (Arc::clone(&server_spoke), Arc::clone(shared));
        let delay = shared.round_trip / 2;
        pump(
            Arc::clone(&client),
            Arc::clone(&server),
            (opened, delay),
            |mut to, chunk| to.write_all(chunk).is_ok(),
            move |_| {
                shared.counts.questions.fetch_add(spoke.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            },
        )
    };
    let (counting, failing) = (Arc::clone(shared), Arc::clone(shared));
    let mut seen = Seen::default();
    let deliver = move |to: &TcpStream, chunk: &[u8]| seen.deliver(to, chunk, &failing.switch, &failing.closed);
    let down = pump(server, client, (opened, shared.round_trip / 2), deliver, move |bytes| {
        server_spoke.store(1, Ordering::Relaxed);
        counting.counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    });
    let _ = (up.join(), down.join());
    Some(())
}

/// One direction: every chunk arrives `delay` after it was sent, the first not before the connection is opened.
fn pump(
    from: Arc<TcpStream>,
    to: Arc<TcpStream>,
    (opened, delay): (Instant, Duration),
    mut deliver: impl FnMut(&TcpStream, &[u8]) -> bool + Send + 'static,
    saw: impl Fn(usize) + Send + 'static,
) -> thread::JoinHandle<()> {
    let (send, arrive) = mpsc::sync_channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let sender = Arc::clone(&from);
    let writer = thread::spawn(move || {
        for (at, chunk) in arrive {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if !deliver(&to, &chunk) {
                // Whoever sends has nobody to listen to them. Only reading is shut down: a reset must not become an end in order.
                let _ = (sender.shutdown(Shutdown::Both), to.shutdown(Shutdown::Read));
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match (&*from).read(&mut buffer) {
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

/// The fault of now, and a bell for those that wait for another.
#[derive(Debug, Default)]
struct Switch {
    now: Mutex<(u64, Fault)>,
    bell: Condvar,
}

impl Switch {
    fn set(&self, fault: Fault) {
        let mut now = lock(&self.now);
        *now = (now.0 + 1, fault);
        drop(now);
        self.bell.notify_all();
    }

    fn wake(&self) {
        self.bell.notify_all();
    }

    fn now(&self) -> (u64, Fault) {
        *lock(&self.now)
    }

    /// Waits until the fault is another, at most so long.
    fn wait(&self, turn: u64, limit: Duration) {
        let now = lock(&self.now);
        let _unused = self.bell.wait_timeout_while(now, limit, |now| now.0 == turn);
    }
}

/// What a connection has let through since the fault was set.
#[derive(Debug, Default)]
struct Seen {
    turn: u64,
    passed: usize,
}

impl Seen {
    /// Whether the connection goes on.
    fn deliver(&mut self, mut to: &TcpStream, mut rest: &[u8], switch: &Switch, closed: &AtomicBool) -> bool {
        loop {
            let (turn, fault) = switch.now();
            if turn != self.turn {
                *self = Self { turn, passed: 0 };
            }
            let allowed = match fault {
                Fault::Pass => rest.len(),
                Fault::Trickle(_) => rest.len().min(1),
                Fault::Cut(at) | Fault::Reset(at) | Fault::Stall(at) | Fault::Garbage(at) => rest.len().min(at.saturating_sub(self.passed)),
            };
            let (now, later) = rest.split_at(allowed);
            if to.write_all(now).is_err() {
                return false;
            }
            self.passed += allowed;
            rest = later;
            match fault {
                Fault::Cut(at) if self.passed >= at => {
                    let _ = to.shutdown(Shutdown::Write);
                    return false;
                }
                Fault::Reset(at) if self.passed >= at => {
                    // The kernel resets a connection that is closed with a patience of nought.
                    let _ = rustix::net::sockopt::set_socket_linger(to, Some(Duration::ZERO));
                    return false;
                }
                _ if rest.is_empty() => return true,
                Fault::Stall(_) if closed.load(Ordering::Relaxed) => return false,
                Fault::Stall(_) => switch.wait(turn, Duration::from_secs(1)),
                Fault::Trickle(pause) => switch.wait(turn, pause),
                Fault::Garbage(_) => {
                    let noise: Vec<u8> = (self.passed..self.passed + rest.len()).map(noise).collect();
                    self.passed += rest.len();
                    return to.write_all(&noise).is_ok();
                }
                Fault::Pass | Fault::Cut(_) | Fault::Reset(_) => {}
            }
        }
    }
}

/// A byte that means nothing and is the same every time.
fn noise(at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that answers each line with itself.
    fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Ok(mut back) = stream.try_clone() else { return };
                thread::spawn(move || std::io::copy(&mut stream, &mut back));
            }
        });
        at
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    #[test]
    fn each_question_costs_a_round_trip_and_is_counted() {
        let proxy = Proxy::far(echo(), Duration::from_millis(40)).unwrap();
        let begun = Instant::now();
        let mut stream = connect(&proxy);
        for _ in 0..3 {
            stream.write_all(b"what").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        }
        // The handshake and three questions.
        assert!(begun.elapsed() >= Duration::from_millis(160), "{:?}", begun.elapsed());
        let counts = proxy.counts();
        assert_eq!((counts.connections(), counts.questions(), counts.bytes()), (1, 3, 12));
    }

    #[test]
    fn it_ends_in_the_middle() {
        let proxy = Proxy::before(echo()).unwrap();
        proxy.set(Fault::Cut(6));
        let mut stream = connect(&proxy);
        stream.write_all(b"0123456789").unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"012345");

        proxy.set(Fault::Reset(3));
        let mut stream = connect(&proxy);
        stream.write_all(b"0123456789").unwrap();
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn it_hangs_and_goes_on_when_it_is_let() {
        let proxy = Proxy::before(echo()).unwrap();
        let mut stream = connect(&proxy);
        proxy.set(Fault::Stall(4));
        stream.write_all(b"01234567").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        proxy.set(Fault::Pass);
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"4567");
        proxy.hang_up();
        assert_eq!(stream.read(&mut heard).unwrap(), 0);
    }

    #[test]
    fn it_is_slow_or_talks_nonsense() {
        let proxy = Proxy::before(echo()).unwrap();
        let mut stream = connect(&proxy);
        proxy.set(Fault::Trickle(Duration::from_millis(10)));
        let begun = Instant::now();
        stream.write_all(b"0123456789").unwrap();
        let mut heard = [0; 10];
        stream.read_exact(&mut heard).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(80) && &heard == b"0123456789");
        proxy.set(Fault::Garbage(4));
        stream.write_all(b"0123456789").unwrap();
        stream.read_exact(&mut heard).unwrap();
        assert!(heard.starts_with(b"0123") && &heard[4..] != b"456789");
    }
}
