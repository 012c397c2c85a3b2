//! The product as one: an incident in one file, no secret in any byte, an end at once, and nothing left behind.

mod incident;
mod leaves;
pub mod planted;
mod secrets;
mod stops;
mod story;

use crate::support::{Obsctl, obsctl};
use lab::sandbox::LocalSandbox;
use std::{
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

const SOON: Duration = Duration::from_secs(180);

/// The sandbox's own configuration; its URL is behind a balancer that is not there.
fn at(sandbox: &LocalSandbox, words: &str) -> Obsctl {
    let text = std::fs::read_to_string(&sandbox.config).unwrap();
    let lines = text.lines().map(|line| match line.split_once(", url: ") {
        Some((before, _)) => format!("{before}}}"),
        None => line.to_owned(),
    });
    obsctl(Path::new("/nowhere"), words).arg_all("--config obsctl.yaml").file("obsctl.yaml", &lines.collect::<Vec<_>>().join("\n"))
}

/// A server of anything that hangs: it takes connections and never says a word.
struct Hung {
    listener: TcpListener,
    taken: Vec<TcpStream>,
}

impl Hung {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, taken: Vec::new() }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// How many have come since this was last asked.
    fn came(&mut self) -> usize {
        let before = self.taken.len();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.taken.push(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.taken.len() - before,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// An environment in which everything is this server, but for Kubernetes.
    fn config(&self) -> String {
        let port = self.port();
        format!(
            "environments:\n  hung:\n    apps: {{web: {{url: 'http://127.0.0.1:{port}', health: /h}}}}\n    \
             postgres: {{main: {{url: 'postgres://a:pw-hung@127.0.0.1:{port}/shop', via: direct}}}}\n    \
             broker: {{url: 'redis://:pw-hung@127.0.0.1:{port}/0', via: direct}}\n"
        )
    }

    /// A kubeconfig whose cluster is this server.
    fn kubeconfig(&self) -> String {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: hung, clusters: [{{name: hung, cluster: {{server: 'http://127.0.0.1:{}'}}}}], \
             contexts: [{{name: hung, context: {{cluster: hung, user: u}}}}], users: [{{name: u, user: {{token: pw-hung}}}}]}}",
            self.port()
        )
    }
}
