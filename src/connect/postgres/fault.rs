//! What PostgreSQL refuses, in words that say what to do. The driver's own texts hide the cause ("db error"): the server's message and its
//! SQLSTATE are shown.

use crate::{
    answer::Hint,
    connect::tls::Tls,
    error::{Error, Kind},
    safe,
    text::{Redactor, Safe},
};
use std::error::Error as _;
use tokio_postgres::error::SqlState;

/// The driver's error as ours; `tls` is at hand while the connection is made.
pub(super) fn of(error: &tokio_postgres::Error, doing: Safe, redact: &Redactor, tls: Option<(&Tls, &str)>) -> Error {
    let Some(server) = error.as_db_error() else { return of_wire(error, doing, redact, tls) };
    let code = server.code();
    let kind = match code.code() {
        "28P01" | "28000" => Kind::Auth,
        "42501" => Kind::Denied,
        "57014" | "55P03" | "25P03" => Kind::Timeout,
        "57P01" | "57P02" | "57P03" => Kind::Unreachable,
        text if text == "3D000" || text.starts_with("42") => Kind::NotFound,
        text if text.starts_with("53") || text.starts_with("08") => Kind::Unreachable,
        _ => Kind::Protocol,
    };
    let said = redact.safe(server.message().as_bytes()).clipped(300);
    let error = Error::new(kind, doing).what(safe!("{} (SQLSTATE {})", said, Safe::name(code.code())));
    let hint: Option<Hint> = if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        Some(Hint::Try("the user and the password that the application has now; pg_hba.conf may want TLS: ?sslmode=require".into()))
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        Some(Hint::Set("the name of the database, behind the host in the URL, or dbname".into()))
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        Some(Hint::Try("GRANT SELECT on it to this role".into()))
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        Some(Hint::Try("the server's connections are used up, which is a finding: look for idle ones in pg_stat_activity".into()))
    } else {
        server.hint().map(|hint| Hint::Try(redact.safe(hint.as_bytes()).clipped(200)))
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// No word of the server: the stream, TLS or the driver.
fn of_wire(error: &tokio_postgres::Error, doing: Safe, redact: &Redactor, tls: Option<(&Tls, &str)>) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            let is_tls = io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            return match tls.filter(|_| is_tls) {
                Some((tls, host)) => tls.explain(doing, host, io),
                None => Error::new(Kind::Unreachable, doing).what(safe!("the connection broke: {}", Safe::name(io.to_string()))),
            };
        }
        cause = inner.source();
    }
    if error.is_closed() {
        return Error::new(Kind::Unreachable, doing).what("the connection is closed");
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    // The driver's fixed words, and what they stand for.
    let (kind, what): (Kind, Safe) = if text.contains("server does not support TLS") {
        (Kind::Tls, "the server has no TLS, and sslmode asks for it".into())
    } else if text.contains("password missing") {
        (Kind::Auth, "the server asks for a password, and none is configured".into())
    } else {
        (Kind::Protocol, safe!("the answer makes no sense to the driver: {}", redact.safe(text.as_bytes()).clipped(200)))
    };
    Error::new(kind, doing).what(what)
}
