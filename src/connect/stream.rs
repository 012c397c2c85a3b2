//! Byte streams to a server, whatever carries them: what the routes dial, and what meters the bytes of a connection. Knows no protocol.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of bytes in both directions: a socket, a tunnel, a relay, TLS over any of them.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What went over the connections to a server so far.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    round_trips: AtomicU64,
}

impl Traffic {
    /// Bytes sent to the server.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
    /// Bytes received from the server.
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
    /// Questions that waited for their answer, greetings included.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Relaxed)
    }
    /// One more question that waits for its answer.
    pub(super) fn round_trip(&self) {
        self.round_trips.fetch_add(1, Relaxed);
    }
}

/// What one connection may still receive.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicU64,
    exceeded: AtomicBool,
}

impl Budget {
    /// So many bytes.
    pub fn of(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes), exceeded: AtomicBool::new(false) }
    }
    /// So many bytes from now on.
    pub fn allow(&self, bytes: u64) {
        self.left.store(bytes, Relaxed);
    }
    /// Whether more came than was allowed.
    pub fn exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }
    fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }
    fn take(&self, bytes: u64) -> io::Result<()> {
        let left = self.left();
        self.left.store(left.saturating_sub(bytes), Relaxed);
        if bytes > left {
            self.exceeded.store(true, Relaxed);
            return Err(io::Error::other("more came than was allowed"));
        }
        Ok(())
    }
}

/// A stream whose bytes are counted, and which breaks when more is received than was allowed.
pub(super) struct Metered {
    pub inner: Box<dyn Duplex>,
    pub traffic: Arc<Traffic>,
    pub budget: Arc<Budget>,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // One byte more than is allowed says that there is more; the rest of something huge is never taken from the socket.
        let room = usize::try_from(self.budget.left().saturating_add(1)).unwrap_or(usize::MAX).min(buffer.remaining());
        let mut allowed = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut allowed))?;
        let read = allowed.filled().len();
        buffer.advance(read);
        let bytes = read as u64;
        self.traffic.received.fetch_add(bytes, Relaxed);
        Poll::Ready(self.budget.take(bytes))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.traffic.sent.fetch_add(written as u64, Relaxed);
        Poll::Ready(Ok(written))
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_stream_counts_and_keeps_to_its_budget() {
        let (mut server, client) = tokio::io::duplex(64);
        let (traffic, budget) = (Arc::new(Traffic::default()), Arc::new(Budget::of(5)));
        let mut metered = Metered { inner: Box::new(client), traffic: traffic.clone(), budget: budget.clone() };
        metered.write_all(b"ping").await.expect("room");
        server.write_all(b"pongs").await.expect("room");
        let mut answer = [0; 5];
        metered.read_exact(&mut answer).await.expect("five bytes");
        assert_eq!((traffic.sent(), traffic.received(), budget.exceeded()), (4, 5, false));
        server.write_all(b"far more than was allowed").await.expect("room");
        let mut huge = [0; 64];
        assert!(metered.read_exact(&mut huge).await.is_err());
        assert_eq!((budget.exceeded(), traffic.received()), (true, 6), "one byte shows that there is more");
        budget.allow(5);
        server.write_all(b"more").await.expect("room");
        metered.read_exact(&mut answer).await.expect("allowed again");
    }
}
