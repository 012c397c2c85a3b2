//! What goes wrong with a Redis server, in words with a next step. The server's own words are shown, redacted.

use super::Login;
use crate::{
    answer::{Hint, Provenance},
    error::{Error, Kind},
    safe,
    text::{Redactor, Safe},
};
use redis::{ErrorKind, RedisError, ServerError};
use std::time::Duration;

fn error(kind: Kind, doing: &'static str, at: &Safe) -> Error {
    Error::new(kind, doing).to(Provenance { system: "redis", at: at.clone(), through: None })
}

/// No answer in time.
pub(super) fn late(doing: &'static str, at: &Safe, within: Duration) -> Error {
    error(Kind::Timeout, doing, at)
        .what(safe!("no answer within {} s", within.as_secs()))
        .hint(Hint::Try("a script or a huge command may block it: redis-cli SLOWLOG GET 10".into()))
}

/// It has just started.
pub(super) fn loading(at: &Safe) -> Error {
    error(Kind::Unreachable, "asking Redis", at)
        .what("LOADING: it has just started and still reads its data set from disk")
        .hint(Hint::Try("again in a moment; its log says how far it is".into()))
}

/// Whether this is how a node of a Redis Cluster answers.
pub(super) fn is_cluster(refused: &ServerError) -> bool {
    matches!(refused.code(), "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT")
}

/// A node of a Redis Cluster.
pub(super) fn cluster(refused: &ServerError, at: &Safe, redact: &Redactor) -> Error {
    error(Kind::Config, "asking Redis", at)
        .what(safe!("{}: it is a node of a Redis Cluster, on which Celery has no transport", words(refused, redact)))
        .hint(Hint::Set("broker.url: the single Redis, or the sentinels, that the workers use".into()))
}

/// A refusal in the greeting.
pub(super) fn of_login(refused: &ServerError, command: &Safe, login: &Login, at: &Safe, redact: &Redactor) -> Error {
    let says = words(refused, redact);
    let doing = "signing in to Redis";
    match refused.code() {
        "WRONGPASS" => error(Kind::Auth, doing, at)
            .what(safe!("{}", says))
            .hint(Hint::Try("the password may have been changed: compare it with the Secret that the workers use".into())),
        "NOAUTH" => error(Kind::Auth, doing, at)
            .what("it wants a password, and the URL has none")
            .hint(Hint::Set("broker.url: with a password, best as {secret: …, key: …}".into())),
        "NOPERM" => {
            let user = login.user.as_deref().map_or_else(|| "default".into(), Safe::name);
            error(Kind::Denied, doing, at).what(safe!("user {} may not run {}: {}", user, *command, says)).hint(Hint::Try(safe!(
                "ACL SETUSER {} +{}",
                user,
                Safe::name(command.to_lowercase())
            )))
        }
        "LOADING" => loading(at),
        _ if command.as_str() == "SELECT" => error(Kind::Config, doing, at)
            .what(safe!("there is no database {}: {}", login.db, says))
            .hint(Hint::Set("broker.url: the number behind the last slash is the database".into())),
        _ => error(Kind::Auth, doing, at).what(says),
    }
}

/// What the client itself met.
pub(super) fn of(met: &RedisError, doing: &'static str, at: &Safe, redact: &Redactor) -> Error {
    let says = redact.safe(met.to_string().as_bytes());
    match met.kind() {
        ErrorKind::AuthenticationFailed => error(Kind::Auth, doing, at).what(says),
        ErrorKind::Parse => error(Kind::Protocol, doing, at)
            .what("what answers there does not speak Redis' protocol")
            .hint(Hint::Try("check host and port; a server that wants TLS is written rediss://".into())),
        ErrorKind::Server(redis::ServerErrorKind::NoPerm) => error(Kind::Denied, doing, at).what(says),
        _ if met.is_timeout() => error(Kind::Timeout, doing, at).what(says),
        _ => error(Kind::Unreachable, doing, at).what(safe!("the connection broke off: {}", says)),
    }
}

fn words(refused: &ServerError, redact: &Redactor) -> Safe {
    match refused.details() {
        Some(details) => safe!("{} {}", Safe::name(refused.code()), redact.safe(details.as_bytes())),
        None => Safe::name(refused.code()),
    }
}
