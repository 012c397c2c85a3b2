//! What went wrong, said so that somebody can act on it. kube's own error texts dump debug structures: only the innermost cause and the
//! server's own message are shown.

use super::{Ask, Cluster};
use crate::{
    answer::Hint,
    error::{Error, Kind},
    safe,
    text::Safe,
};
use http::StatusCode;
use std::error::Error as StdError;

/// The last cause of a chain: the one that names the fault.
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn in_chain<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(found) = e.downcast_ref::<T>() {
            return Some(found);
        }
        // An io::Error keeps its inner error out of `source`.
        if let Some(inner) = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = in_chain::<T>(inner)
        {
            return Some(found);
        }
        cause = e.source();
    }
    None
}

/// No answer at all: refused, no route, unknown host, TLS, proxy, credentials that cannot be made.
pub(super) fn of_transport(error: &kube::Error, ask: &Ask, cluster: &Cluster) -> Error {
    let chain: &(dyn StdError + 'static) = error;
    let (kind, what, hint): (Kind, Safe, &'static str) = if let Some(tls) = in_chain::<rustls::Error>(chain) {
        (
            Kind::Tls,
            safe!("TLS with {}: {}", cluster.server, cluster.redact.safe(tls.to_string().as_bytes())),
            "compare the kubeconfig's certificate-authority with the server's certificate; a proxy that opens TLS shows up here too",
        )
    } else if let kube::Error::Auth(e) = error {
        (Kind::Auth, cluster.redact.safe(root_cause(e).as_bytes()), "log in again as you do for kubectl, then repeat")
    } else {
        let io = in_chain::<std::io::Error>(chain).map(std::io::Error::kind);
        let cause = root_cause(chain);
        let what = match io {
            Some(std::io::ErrorKind::ConnectionRefused) => safe!("{} refuses connections", cluster.server),
            Some(std::io::ErrorKind::TimedOut) => safe!("{} does not answer", cluster.server),
            Some(std::io::ErrorKind::ConnectionReset) => safe!("{} reset the connection", cluster.server),
            _ if cause.contains("failed to lookup address") || cause.contains("Name or service not known") => {
                safe!("the host name of {} does not resolve", cluster.server)
            }
            _ => safe!("no connection to {}: {}", cluster.server, cluster.redact.safe(cause.as_bytes())),
        };
        (Kind::Unreachable, what, "check the VPN or the proxy, and whether this is the context you mean: kubectl config current-context")
    };
    Error::new(kind, ask.doing.clone()).to(cluster.provenance()).what(what).hint(Hint::Try(hint.into()))
}

/// An answer that says no.
pub(super) fn of_status(status: StatusCode, said: &Safe, ask: &Ask, cluster: &Cluster) -> Error {
    let kind = match status.as_u16() {
        400 => Kind::Usage,
        401 => Kind::Auth,
        403 => Kind::Denied,
        404 | 410 => Kind::NotFound,
        408 | 504 => Kind::Timeout,
        _ => Kind::Unreachable,
    };
    let what = match kind {
        Kind::Auth => safe!("the server does not accept these credentials (401{}{})", if said.is_empty() { "" } else { ": " }, said),
        Kind::Denied => safe!("not allowed: needs {} on {} in {}", ask.needs.verb, ask.needs.resource, ask.needs.scope),
        _ if said.is_empty() => safe!("HTTP {}", status.as_u16()),
        _ => safe!("{} (HTTP {})", said, status.as_u16()),
    };
    let error = Error::new(kind, ask.doing.clone()).to(cluster.provenance()).what(what);
    match kind {
        Kind::Auth => error.hint(Hint::Try("the token or certificate may have expired: log in again as you do for kubectl".into())),
        Kind::Denied => error.hint(Hint::Grant(ask.needs.clone())),
        _ => error,
    }
}
