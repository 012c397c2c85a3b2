//! What a health endpoint answered → what it says. The dialect is recognised by the body itself; what is none of them is said to be none.
//! Never panics, whatever the bytes.

mod checks;
pub mod compose;
mod kubernetes;
mod page;
#[cfg(test)]
mod tests;
mod text;
mod words;

use super::model::{BodyRead, Component, Condition, Dialect, HealthBody, NotHealth};
use crate::{
    safe,
    text::{Redactor, Safe, units},
};

/// How many components of one body are kept.
const MOST: usize = 200;
/// The longest text of a component that is kept, in characters.
const LONGEST: usize = 300;

/// An answer as it came.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawAnswer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// `Content-Encoding`.
    pub encoding: &'a str,
    /// `Location`.
    pub location: &'a str,
    /// What was asked: its scheme and path tell a redirect to https from one elsewhere.
    pub path: &'a str,
    /// The body, or the beginning of it.
    pub body: &'a [u8],
    /// Whether that is only the beginning.
    pub cut: bool,
}

/// What a decoder of one dialect makes of a body.
#[derive(Debug, Default)]
struct Said {
    status: Option<String>,
    condition: Option<Condition>,
    components: Vec<Part>,
    version: Option<String>,
}

#[derive(Debug)]
struct Part {
    name: String,
    condition: Condition,
    says: Option<String>,
}

/// Reads an answer; `dialect` overrides what the body looks like.
pub fn read(raw: &RawAnswer<'_>, dialect: Option<Dialect>, redact: &Redactor) -> BodyRead {
    if !raw.encoding.is_empty() && !raw.encoding.eq_ignore_ascii_case("identity") {
        return BodyRead::NotHealth(NotHealth::Compressed);
    }
    if let Some(no) = page::by_status(raw) {
        return BodyRead::NotHealth(no);
    }
    let Ok(text) = std::str::from_utf8(trimmed(raw.body)) else {
        return BodyRead::NotHealth(if raw.cut { NotHealth::TooLong } else { NotHealth::Gibberish });
    };
    if text.starts_with('<') {
        return BodyRead::NotHealth(page::of(raw.status, text, redact));
    }
    let (dialect, said) = match recognised(raw, text, dialect) {
        Ok(found) => found,
        Err(no) => return BodyRead::NotHealth(no),
    };
    BodyRead::Health(body(raw.status, dialect, said, redact))
}

/// The worst of the status, the body's word and its parts.
pub fn overall(status: u16, body: &BodyRead) -> Condition {
    let http = of_status(status);
    match body {
        BodyRead::NotHealth(_) => http.max(Condition::Unknown),
        BodyRead::Health(body) => {
            let parts = body.components.iter().map(|c| c.condition).filter(|c| *c != Condition::Skipped);
            parts.chain(body.condition).fold(http, Condition::max)
        }
    }
}

fn of_status(status: u16) -> Condition {
    match status {
        200..300 => Condition::Ok,
        500.. => Condition::Failed,
        _ => Condition::Unknown,
    }
}

fn recognised(raw: &RawAnswer<'_>, text: &str, wanted: Option<Dialect>) -> Result<(Dialect, Said), NotHealth> {
    // `[+]etcd ok` begins as a list does.
    let marked = ["[+]", "[-]", "[?]"].iter().any(|mark| text.starts_with(mark));
    let json = (!marked && text.starts_with(['{', '[', '"'])).then(|| serde_json::from_str::<serde_json::Value>(text));
    match (json, wanted) {
        _ if text.is_empty() => Ok((Dialect::Empty, Said::default())),
        (_, Some(Dialect::Empty)) => Ok((Dialect::Empty, Said::default())),
        (_, Some(Dialect::Kubernetes)) => kubernetes::read(text).map(|said| (Dialect::Kubernetes, said)).ok_or(NotHealth::Gibberish),
        (_, Some(Dialect::Text)) => Ok((Dialect::Text, text::word(text))),
        (Some(Ok(value)), wanted) => checks::read(&value, raw.content_type, wanted).ok_or(NotHealth::Gibberish),
        (Some(Err(_)), _) => Err(if raw.cut { NotHealth::TooLong } else { NotHealth::Gibberish }),
        (None, _) => match kubernetes::read(text) {
            Some(said) => Ok((Dialect::Kubernetes, said)),
            None => text::read(text).ok_or(if raw.cut { NotHealth::TooLong } else { NotHealth::Gibberish }),
        },
    }
}

fn body(status: u16, dialect: Dialect, said: Said, redact: &Redactor) -> HealthBody {
    let more = said.components.len().saturating_sub(MOST);
    let mut components: Vec<Component> = said
        .components
        .into_iter()
        .take(MOST)
        .map(|part| Component {
            says: part.says.filter(|s| !s.trim().is_empty()).map(|s| redact.field(&part.name, &s).clipped(LONGEST)),
            name: Safe::name(&part.name).clipped(60),
            condition: part.condition,
        })
        .collect();
    if more > 0 {
        components.push(Component {
            name: safe!("and {} more", more),
            condition: Condition::Unknown,
            says: Some(safe!("only the first {} components are read", MOST)),
        });
    }
    let contradictions = contradictions(status, said.condition, &components);
    HealthBody {
        dialect,
        status: said.status.map(|s| redact.field("status", &s).clipped(LONGEST)),
        condition: said.condition,
        components,
        version: said.version.map(|v| redact.field("version", &v).clipped(60)),
        contradictions,
    }
}

fn contradictions(status: u16, own: Option<Condition>, components: &[Component]) -> Vec<Safe> {
    let failed: Vec<Safe> = components.iter().filter(|c| c.condition == Condition::Failed).map(|c| c.name.clone()).collect();
    let well = components.iter().all(|c| c.condition <= Condition::Ok);
    let names = || safe!("{}{}", Safe::join(failed.iter().take(3), ", "), if failed.len() > 3 { ", …" } else { "" });
    let mut said = Vec::new();
    if (200..300).contains(&status) {
        if own == Some(Condition::Failed) {
            said.push(safe!("HTTP {} says well, the body says it is not: a balancer goes by the first", status));
        } else if !failed.is_empty() {
            said.push(safe!("HTTP {} says well, {} failed: a balancer goes by the first", status, names()));
        }
    }
    if status >= 500 && well && matches!(own, Some(Condition::Ok)) {
        said.push(safe!("HTTP {} says failed, the body says well", status));
    }
    if own == Some(Condition::Ok) && !failed.is_empty() {
        said.push(safe!("the whole calls itself well, {} of its own failed: {}", units::plural(failed.len(), "part", "parts"), names()));
    }
    if own == Some(Condition::Failed) && well && !components.is_empty() {
        said.push("the whole calls itself failed, and none of its parts does".into());
    }
    said
}

/// Without a byte order mark and white space.
fn trimmed(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii()
}
