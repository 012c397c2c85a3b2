//! `lab latency-proxy TO MS`: the proxy of a network that is far away, for scripts.

use std::io::{Write, stdin, stdout};
use std::time::Duration;

use crate::failure::{Doing, Result};
use crate::proxy::Proxy;

/// Says its own address; answers each line of its standard input with the counts since the last one (connections, questions, bytes);
/// ends with its standard input.
pub fn command(to: &str, ms: &str) -> Result<String> {
    let ms: u64 = ms.parse().doing(|| "reading the milliseconds")?;
    let proxy = Proxy::far(to, Duration::from_millis(ms))?;
    let counts = proxy.counts();
    let mut said = vec![proxy.address().to_string()];
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
