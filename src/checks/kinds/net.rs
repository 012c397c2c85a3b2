//! Addresses: what an HTTP exchange, a connection or a TLS handshake showed, as a sighting.

use super::{BlindSpot, MissingFigure, Sighting};
use crate::{
    answer::{Certificate, Exchange, Finding, HttpFault, HttpStep, Severity},
    checks::model::{CheckStatus, Figure, Unanswered, Unit},
    health::analyze::certificate,
    safe,
    text::{Redactor, Safe},
};
use jiff::Timestamp;
use jsonpath_rust::JsonPath;
use serde_json::Value;

/// The most of a body that is compared.
const BODY: usize = 64 << 10;
/// Nodes that one path may lead to.
const NODES: usize = 100;

/// What an exchange gave.
pub struct HttpSeen<'a> {
    /// The exchange.
    pub exchange: &'a Exchange,
    /// The body.
    pub body: &'a [u8],
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether something was to answer.
    pub reachable: bool,
}

/// Why something did not answer.
pub fn blind(fault: &HttpFault) -> BlindSpot {
    BlindSpot {
        why: why(fault),
        says: safe!("no answer: {}", fault.what),
        next: Vec::new(),
        status: CheckStatus::Failed,
        cluster_away: false,
        took_ms: 0,
    }
}

fn why(fault: &HttpFault) -> Unanswered {
    if fault.late { Unanswered::Timeout } else { Unanswered::Unreachable }
}

/// An HTTP answer; `dynamic` are the JSONPaths and headers that are compared.
pub fn http(seen: &HttpSeen<'_>, dynamic: &[&str], now: Timestamp, redact: &Redactor) -> Sighting {
    let exchange = seen.exchange;
    let mut all = Sighting::default();
    let answered = exchange.status.is_some();
    reached(answered, exchange.fault.as_ref(), seen.reachable, &mut all);
    all.figures.push(Figure::number("time", Safe::EMPTY, Unit::Seconds, exchange.phases.total_ms() / 1000.0));
    certified(exchange.certificate.as_ref(), now, &mut all);
    let Some(status) = exchange.status else {
        return lost(all, exchange.fault.as_ref(), &["status", "body", "size"], dynamic);
    };
    all.figures.push(Figure::count("status", Safe::EMPTY, status.into()));
    all.figures.push(Figure::number("size", Safe::EMPTY, Unit::Bytes, seen.body.len() as f64));
    let body = seen.body.get(..BODY).unwrap_or(seen.body);
    all.figures.push(Figure::text("body", Safe::EMPTY, redact.safe(body)));
    let json: Option<Value> = serde_json::from_slice(seen.body).ok();
    for name in dynamic {
        match name.strip_prefix("header ") {
            Some(header) => all.figures.extend(
                seen.headers
                    .iter()
                    .filter(|(n, _)| n == header)
                    .map(|(_, v)| Figure::text(Safe::name(name), Safe::EMPTY, redact.safe(v.as_bytes()))),
            ),
            None => all.figures.extend(json.iter().flat_map(|json| nodes(json, name, redact))),
        }
    }
    if !seen.body.is_empty() {
        all.evidence.push(safe!("body: {}", redact.safe(body.get(..600).unwrap_or(body)).clipped(300)));
    }
    if seen.reachable && status >= 400 {
        all.found(None, Finding::new("http-status", Severity::Failed, safe!("it answered {}", status)));
    }
    all
}

/// What a path leads to: several nodes are several figures, all of which are compared.
fn nodes(json: &Value, path: &str, redact: &Redactor) -> Vec<Figure> {
    let Ok(found) = json.query(path) else { return Vec::new() };
    let figure = |value: &Value| {
        let name = || Safe::name(path);
        match value {
            Value::Number(n) => n.as_f64().map(|n| Figure::number(name(), Safe::EMPTY, Unit::Number, n)),
            Value::String(s) => Some(Figure::text(name(), Safe::EMPTY, redact.safe(s.as_bytes()))),
            Value::Bool(b) => Some(Figure::text(name(), Safe::EMPTY, if *b { "true" } else { "false" }.into())),
            Value::Null => Some(Figure::text(name(), Safe::EMPTY, "null".into())),
            other => Some(Figure::text(name(), Safe::EMPTY, redact.safe(other.to_string().as_bytes()))),
        }
    };
    found.into_iter().take(NODES).filter_map(figure).collect()
}

fn reached(answered: bool, fault: Option<&HttpFault>, wanted: bool, all: &mut Sighting) {
    all.figures.push(Figure::flag("reachable", Safe::EMPTY, answered));
    match (answered, wanted) {
        (true, false) => all.found(None, Finding::new("reachable", Severity::Failed, "it can be reached, and must not be".into())),
        (false, true) => {
            let what = fault.map(|f| f.what.clone()).unwrap_or_default();
            let code = if fault.is_some_and(|f| f.late) { "timeout" } else { "unreachable" };
            all.found(None, Finding::new(code, Severity::Failed, safe!("no answer: {}", what)));
        }
        _ => {}
    }
}

/// What could not be measured for want of an answer.
fn lost(mut all: Sighting, fault: Option<&HttpFault>, figures: &[&'static str], dynamic: &[&str]) -> Sighting {
    let Some(fault) = fault else { return all };
    let why = why(fault);
    let says = safe!("no answer: {}", fault.what);
    for figure in figures {
        all.missing.push(MissingFigure { figure, why, says: says.clone(), hint: None, partly: false });
    }
    all.figures.retain(|f| f.name.as_str() != "time");
    all.missing.push(MissingFigure { figure: "time", why, says: says.clone(), hint: None, partly: false });
    if !dynamic.is_empty() {
        all.missing.push(MissingFigure { figure: "", why, says, hint: None, partly: false });
    }
    all
}

fn certified(seen: Option<&Certificate>, now: Timestamp, all: &mut Sighting) {
    let Some(end) = seen.and_then(|c| c.not_after) else { return };
    all.figures.push(Figure::time("certificate", Safe::EMPTY, end.duration_since(now)));
}

/// A connection.
pub fn tcp(exchange: &Exchange, wanted: bool) -> Sighting {
    let mut all = Sighting::default();
    let fault = exchange.fault.as_ref();
    reached(fault.is_none(), fault, wanted, &mut all);
    all.figures.push(Figure::number("time", Safe::EMPTY, Unit::Seconds, exchange.phases.total_ms() / 1000.0));
    if fault.is_some() { lost(all, fault, &[], &[]) } else { all }
}

/// A TLS handshake. A certificate that was refused was seen all the same.
pub fn tls(exchange: &Exchange, address: &str, wanted: bool, now: Timestamp) -> Sighting {
    let mut all = Sighting::default();
    let fault = exchange.fault.as_ref();
    let shown = exchange.certificate.as_ref();
    reached(fault.is_none() || shown.is_some(), fault, wanted, &mut all);
    all.figures.push(Figure::number("time", Safe::EMPTY, Unit::Seconds, exchange.phases.total_ms() / 1000.0));
    let Some(seen) = shown else { return lost(all, fault, &["certificate", "verified", "issuer"], &[]) };
    certified(Some(seen), now, &mut all);
    all.figures.push(Figure::flag("verified", Safe::EMPTY, seen.refused.is_none() && seen.verified));
    all.figures.push(Figure::text("issuer", Safe::EMPTY, seen.issuer.clone()));
    all.evidence.push(safe!("certificate of {}, signed by {}", seen.subject, seen.issuer));
    if !wanted {
        return all;
    }
    if let Some(why) = &seen.refused {
        all.found(None, Finding::new("certificate-refused", Severity::Failed, safe!("its certificate is refused: {}", *why)));
    } else if let Some(fault) = fault.filter(|f| f.step == HttpStep::Tls) {
        all.found(None, Finding::new("tls-failed", Severity::Failed, safe!("TLS failed: {}", fault.what)));
    }
    if let Some(finding) = certificate(&Safe::name(address), seen, now) {
        all.found(None, finding);
    }
    all
}
