//! Free TCP ports on 127.0.0.1 for servers that must be told their port.
//!
//! They lie below the range from which the kernel takes the ports of outgoing connections, so that no client can take
//! one between the choice and the server's start; within this process none is handed out twice.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::failure::{Failure, Result};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on which nobody listens now.
pub fn free() -> Result<u16> {
    // Processes that start at the same time begin at different places.
    let offset = (process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (offset + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new(format!("no free port from {FIRST} to {} on 127.0.0.1", FIRST + COUNT - 1)))
}

/// Whether somebody accepts connections there.
pub fn answers(address: std::net::SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(500)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::free;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports: HashSet<u16> = (0..200).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 200);
    }
}
