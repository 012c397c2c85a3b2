//! Byte streams into a pod over the API server's WebSockets: a port-forward and an exec. Each stream has a connection of its own and ends
//! with its owner.

use super::{Ask, Cluster, fault};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{AttachParams, AttachedProcess, Portforwarder},
};
use std::time::Duration;

/// How long the server may take to open a stream.
const OPENING: Duration = Duration::from_secs(15);
/// What waits in one direction; kube's own is 1 KiB.
const BUFFER: usize = 256 << 10;

impl Cluster {
    /// A port-forward to one port of a pod.
    ///
    /// # Errors
    /// `Denied` with the right, `NotFound` for a pod that is gone; else as `get`.
    pub async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Portforwarder> {
        let ask = in_pod(safe!("opening a tunnel to pod {}", Safe::name(pod)), "pods/portforward", namespace);
        let api: Api<Pod> = Api::namespaced(self.credentials.client(), namespace);
        self.opened(&ask, api.portforward(pod, &[port])).await
    }

    /// A command in a container, with its three streams.
    ///
    /// # Errors
    /// As `forward`. That the command does not exist shows in the status of the process.
    pub async fn exec(&self, namespace: &str, pod: &str, container: Option<&str>, words: &[&str]) -> Result<AttachedProcess> {
        let ask = in_pod(safe!("starting a relay in pod {}", Safe::name(pod)), "pods/exec", namespace);
        let api: Api<Pod> = Api::namespaced(self.credentials.client(), namespace);
        let mut how = AttachParams::default()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .max_stdin_buf_size(BUFFER)
            .max_stdout_buf_size(BUFFER)
            .max_stderr_buf_size(BUFFER);
        if let Some(container) = container {
            how = how.container(container);
        }
        self.opened(&ask, api.exec(pod, words.iter().copied(), &how)).await
    }

    async fn opened<T>(&self, ask: &Ask, opening: impl Future<Output = kube::Result<T>>) -> Result<T> {
        match tokio::time::timeout(OPENING, opening).await {
            Err(_) => Err(self.late(ask, OPENING).0),
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(kube::Error::Api(status))) => {
                let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let said = self.redact.safe(status.message.as_bytes());
                Err(fault::of_status(code, &said, &self.needing(ask, &status.message), self))
            }
            Ok(Err(kube::Error::UpgradeConnection(error))) => Err(Error::new(Kind::Protocol, ask.doing.clone())
                .to(self.provenance())
                .what(safe!("no WebSocket: {}", Safe::name(error.to_string())))
                .hint(Hint::Try("a proxy before the API server may not let WebSockets through; via: direct needs none".into()))),
            Ok(Err(error)) => Err(fault::of_transport(&error, ask, self)),
        }
    }

    /// Older servers ask for `get` where newer ones ask for `create` too: the one that was refused is in the message.
    fn needing(&self, ask: &Ask, message: &str) -> Ask {
        let mut ask = ask.clone();
        if message.contains("cannot create resource") {
            ask.needs.verb = "create".into();
        }
        ask
    }
}

fn in_pod(doing: Safe, resource: &'static str, namespace: &str) -> Ask {
    Ask::new(doing, String::new(), "get", resource, Some(namespace))
}
