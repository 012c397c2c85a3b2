//! From the raw form to checks: variables in place, words checked, thresholds typed. What is wrong becomes a problem with its place, so that
//! one look finds all of them.

use super::{
    FileProblem, kept,
    raw::{RawCheck, RawChecks, RawDefaults, RawOnNoData, RawRoute, RawUnit, Texts},
};
use crate::{
    checks::{
        kind::{CheckKind, ClusterAsk, Gauge, HealthAsk, HttpAsk, LogsAsk, PromqlAsk, ReachAsk, SqlAsk},
        model::{CheckRoute, Unit},
        spec::{CheckSpec, OnNoData},
        threshold::Threshold,
    },
    config::{At, Opt, Place, Vars},
    connect::http::HttpUrl,
    logs::model::Level,
    safe,
    text::{Safe, units},
};
use jiff::SignedDuration;
use std::path::Path;

const LOGS_SINCE: SignedDuration = SignedDuration::from_mins(10);
const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

pub(super) struct Builder<'a> {
    path: &'a Path,
    vars: &'a Vars,
    pub problems: Vec<FileProblem>,
}

impl<'a> Builder<'a> {
    pub fn new(path: &'a Path, vars: &'a Vars) -> Self {
        Self { path, vars, problems: Vec::new() }
    }

    pub fn checks(&mut self, raw: &RawChecks) -> Vec<CheckSpec> {
        let none = RawDefaults::default();
        let defaults = raw.defaults.0.as_ref().unwrap_or(&none);
        raw.checks.iter().filter_map(|check| self.check(check, defaults)).collect()
    }

    fn refuse<T>(&mut self, place: Place, what: impl Into<Safe>) -> Option<T> {
        self.problems.push(FileProblem { says: safe!("{}: {}", place.in_file(self.path), what.into()) });
        None
    }

    fn text(&mut self, at: &At<String>) -> Option<String> {
        match self.vars.expanded(&at.value) {
            Ok(text) if text.trim().is_empty() => self.refuse(at.place, "empty: write a value, or leave the key out"),
            Ok(text) => Some(text),
            Err(why) => self.refuse(at.place, why),
        }
    }

    fn texted(&mut self, at: &Opt<At<String>>) -> Option<String> {
        at.0.as_ref().and_then(|at| self.text(at))
    }

    /// The texts with their places.
    fn placed(&mut self, raw: &Opt<At<Texts>>) -> Vec<(String, Place)> {
        let Some(at) = &raw.0 else { return Vec::new() };
        let one = at.value.1.iter().map(|text| At { value: text.clone(), place: at.place });
        let all: Vec<At<String>> = at.value.0.iter().cloned().chain(one).collect();
        all.iter().filter_map(|at| Some((self.text(at)?, at.place))).collect()
    }

    pub fn texts(&mut self, raw: &Opt<At<Texts>>) -> Vec<String> {
        self.placed(raw).into_iter().map(|(text, _)| text).collect()
    }

    /// Names of targets; none in particular for `all` and `true`.
    fn targets(&mut self, raw: &Opt<At<Texts>>) -> Vec<String> {
        let mut all = self.texts(raw);
        if all.iter().any(|t| t == "false")
            && let Some(at) = &raw.0
        {
            self.refuse::<()>(at.place, "false asks nothing: leave the check out");
        }
        if all.iter().any(|t| t == "all") {
            all.clear();
        }
        all
    }

    fn duration(&mut self, raw: &Opt<At<String>>) -> Option<SignedDuration> {
        let at = raw.0.as_ref()?;
        let text = self.text(at)?;
        match units::parse_duration(&text).filter(SignedDuration::is_positive) {
            Some(duration) => Some(duration),
            None => self.refuse(at.place, "no duration: 30s, 5m, 1h30m"),
        }
    }

    fn check(&mut self, at: &At<RawCheck>, defaults: &RawDefaults) -> Option<CheckSpec> {
        let raw = &at.value;
        let timeout = self.duration(&raw.timeout).or_else(|| self.duration(&defaults.timeout)).unwrap_or(TIMEOUT);
        let since = self.duration(&raw.since).or_else(|| self.duration(&defaults.since));
        let kind = self.kind(raw, at.place, timeout, since)?;
        self.belongings(raw, &kind);
        let name = match &raw.name.0 {
            Some(name) => self.text(name)?,
            None => given(&kind),
        };
        let mut spec = CheckSpec::new(name, kind);
        spec.place = Some(kept(self.path, at.place));
        spec.warn = self.thresholds(&raw.warn, &spec.kind);
        spec.fail = self.thresholds(&raw.fail, &spec.kind);
        spec.want = self.thresholds(&raw.want, &spec.kind);
        let said = [&raw.warn, &raw.fail, &raw.want].into_iter().any(|t| t.0.is_some());
        if !said && spec.kind.own_want().is_none() {
            let first = spec.kind.figures().iter().map(|f| f.name).map(Safe::from);
            let names: Vec<Safe> = first.collect();
            return self.refuse(
                at.place,
                safe!("{} has no verdict of its own: warn, fail or want, over {}", spec.kind.word(), Safe::join(&names, ", ")),
            );
        }
        spec.lasts = self.duration(&raw.lasts).or_else(|| self.duration(&defaults.lasts));
        spec.route = match raw.route.0.as_ref().or(defaults.route.0.as_ref()).map(|r| r.value) {
            Some(RawRoute::Page) => CheckRoute::Page,
            Some(RawRoute::Record) => CheckRoute::Record,
            Some(RawRoute::Notify) | None => CheckRoute::Notify,
        };
        spec.runbook = self.texted(&raw.runbook).or_else(|| self.texted(&defaults.runbook)).map(Safe::name);
        spec.needs = self.texts(if raw.needs.0.is_some() { &raw.needs } else { &defaults.needs });
        // A default that names the check itself is meant for the others.
        if raw.needs.0.is_none() {
            let own = spec.name.clone();
            spec.needs.retain(|need| *need != own);
        }
        spec.tags = self.texts(&defaults.tags);
        spec.tags.extend(self.texts(&raw.tags));
        spec.on_no_data = match raw.on_no_data.0.as_ref().or(defaults.on_no_data.0.as_ref()).map(|o| o.value) {
            Some(RawOnNoData::Fail) => OnNoData::Fail,
            Some(RawOnNoData::Warn) => OnNoData::Warn,
            Some(RawOnNoData::Ok) => OnNoData::Ok,
            Some(RawOnNoData::Unknown) | None => OnNoData::Unknown,
        };
        Some(spec)
    }

    fn thresholds(&mut self, raw: &Opt<At<Texts>>, kind: &CheckKind) -> Vec<Threshold> {
        let all = self.placed(raw);
        let read = all.into_iter().filter_map(|(text, place)| match Threshold::parse(&text, kind) {
            Ok(threshold) => Some(threshold),
            Err(why) => self.refuse(place, why),
        });
        read.collect()
    }

    /// The one thing that it asks.
    fn kind(&mut self, raw: &RawCheck, place: Place, timeout: SignedDuration, since: Option<SignedDuration>) -> Option<CheckKind> {
        let said = [
            raw.health.0.is_some(),
            raw.queue.0.is_some(),
            raw.workers.0.is_some(),
            raw.beat.0.is_some(),
            raw.redis.0.is_some(),
            raw.postgres.0.is_some(),
            raw.sql.0.is_some(),
            raw.logs.0.is_some(),
            raw.kubernetes.0.is_some(),
            raw.http.0.is_some(),
            raw.tcp.0.is_some(),
            raw.tls.0.is_some(),
            raw.promql.0.is_some(),
            raw.command.0.is_some(),
        ];
        if said.into_iter().filter(|said| *said).count() != 1 {
            return self.refuse(
                place,
                "a check asks one thing: health, queue, workers, beat, redis, postgres, sql, logs, kubernetes, http, tcp, tls, promql or command",
            );
        }
        if let Some(at) = [&raw.workers, &raw.beat, &raw.redis].into_iter().filter_map(|o| o.0.as_ref()).find(|at| !at.value) {
            return self.refuse(at.place, "false asks nothing: leave the check out");
        }
        let unit = gauge(raw.unit.0.as_ref().map(|u| u.value));
        if raw.health.0.is_some() {
            return Some(CheckKind::Health(HealthAsk { targets: self.targets(&raw.health), path: self.texted(&raw.path) }));
        }
        if raw.queue.0.is_some() {
            return Some(CheckKind::Queue(self.targets(&raw.queue)));
        }
        if raw.workers.0.is_some() {
            return Some(CheckKind::Workers);
        }
        if raw.beat.0.is_some() {
            return Some(CheckKind::Beat);
        }
        if raw.redis.0.is_some() {
            return Some(CheckKind::Redis);
        }
        if let Some(name) = &raw.postgres.0 {
            return self.text(name).map(CheckKind::Postgres);
        }
        if let Some(statement) = &raw.sql.0 {
            let database = if raw.database.0.is_some() { self.texted(&raw.database)? } else { "main".into() };
            return Some(CheckKind::Sql(SqlAsk { database, statement: self.text(statement)?, unit }));
        }
        if raw.logs.0.is_some() {
            return self.logs(raw, since.unwrap_or(LOGS_SINCE), unit).map(CheckKind::Logs);
        }
        if raw.kubernetes.0.is_some() {
            let since = since.unwrap_or(crate::checks::builtin::WINDOW);
            return Some(CheckKind::Kubernetes(ClusterAsk {
                targets: self.targets(&raw.kubernetes),
                since,
                reason: self.texted(&raw.reason),
            }));
        }
        let reachable = raw.reachable.0.as_ref().is_none_or(|at| at.value);
        if let Some(at) = &raw.http.0 {
            let url = self.url(at)?;
            let headers = self.headers(raw)?;
            return Some(CheckKind::Http(HttpAsk { url, headers, reachable, timeout }));
        }
        if let Some(at) = raw.tcp.0.as_ref().or(raw.tls.0.as_ref()) {
            let address = self.text(at)?;
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
            if port.is_none() || HttpUrl::parse(&format!("http://{address}/")).is_err() {
                return self.refuse(at.place, "no address: host:port");
            }
            let ask = ReachAsk { address, reachable, timeout };
            return Some(if raw.tcp.0.is_some() { CheckKind::Tcp(ask) } else { CheckKind::Tls(ask) });
        }
        if let Some(query) = &raw.promql.0 {
            let Some(at) = &raw.url.0 else { return self.refuse(query.place, "url is missing: where Prometheus is") };
            return Some(CheckKind::Promql(PromqlAsk { url: self.url(at)?, query: self.text(query)?, unit, timeout }));
        }
        let at = raw.command.0.as_ref()?;
        let words: Vec<String> = at.value.iter().filter_map(|word| self.text(&At { value: word.clone(), place: at.place })).collect();
        if words.first().is_none_or(String::is_empty) {
            return self.refuse(at.place, "a command is a program and its arguments: [test, -e, /tmp/x]");
        }
        Some(CheckKind::Command(words))
    }

    fn url(&mut self, at: &At<String>) -> Option<String> {
        let url = self.text(at)?;
        match HttpUrl::parse(&url) {
            Ok(_) => Some(url),
            Err(error) => self.refuse(at.place, error.what_happened().clone()),
        }
    }

    fn headers(&mut self, raw: &RawCheck) -> Option<std::collections::BTreeMap<String, String>> {
        let mut headers = std::collections::BTreeMap::new();
        let Some(at) = &raw.headers.0 else { return Some(headers) };
        for (name, value) in &at.value {
            let value = self.text(&At { value: value.clone(), place: at.place })?;
            let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(&value).is_ok();
            if !good {
                return self.refuse(at.place, safe!("the header {} cannot be sent", Safe::name(name).clipped(40)));
            }
            headers.insert(name.clone(), value);
        }
        Some(headers)
    }

    fn logs(&mut self, raw: &RawCheck, since: SignedDuration, unit: Gauge) -> Option<LogsAsk> {
        let level = self.texted(&raw.level);
        if let Some(at) = raw.level.0.as_ref().filter(|_| level.as_deref().is_some_and(|l| Level::parse(l).is_none())) {
            return self.refuse(at.place, "no level: debug, info, warning, error, critical");
        }
        let matches = self.texted(&raw.matches);
        if let Some(at) = raw.matches.0.as_ref().filter(|_| matches.as_deref().is_some_and(|m| regex::bytes::Regex::new(m).is_err())) {
            return self.refuse(at.place, "no regular expression: escape what is meant as it is, \\( \\[ \\.");
        }
        let mut fields = std::collections::BTreeMap::new();
        for at in raw.fields.0.iter() {
            for (name, value) in &at.value {
                fields.insert(name.clone(), self.text(&At { value: value.clone(), place: at.place })?);
            }
        }
        let value = self.texted(&raw.value);
        if let Some(at) = raw.by.0.as_ref().filter(|_| value.is_none()) {
            return self.refuse(at.place, "by tells the numbers of `value` apart: which field is that?");
        }
        Some(LogsAsk {
            targets: self.targets(&raw.logs),
            since,
            level,
            matches,
            fields,
            value,
            unit,
            by: self.texted(&raw.by),
            compared: false,
        })
    }

    /// Keys that mean nothing for this kind: a check that ignores what stands in it would lie.
    fn belongings(&mut self, raw: &RawCheck, kind: &CheckKind) {
        let word = kind.word();
        let place = |o: &Opt<At<String>>| o.0.as_ref().map(|at| at.place);
        let keys: [(&str, Option<Place>, &[&str]); 13] = [
            ("database", place(&raw.database), &["sql"]),
            ("unit", raw.unit.0.as_ref().map(|at| at.place), &["sql", "promql", "logs"]),
            ("since", place(&raw.since), &["logs", "kubernetes"]),
            ("level", place(&raw.level), &["logs"]),
            ("match", place(&raw.matches), &["logs"]),
            ("fields", raw.fields.0.as_ref().map(|at| at.place), &["logs"]),
            ("value", place(&raw.value), &["logs"]),
            ("by", place(&raw.by), &["logs"]),
            ("reason", place(&raw.reason), &["kubernetes"]),
            ("path", place(&raw.path), &["health"]),
            ("headers", raw.headers.0.as_ref().map(|at| at.place), &["http"]),
            ("reachable", raw.reachable.0.as_ref().map(|at| at.place), &["http", "tcp", "tls"]),
            ("url", place(&raw.url), &["promql"]),
        ];
        for (key, place, of) in keys {
            if let Some(place) = place.filter(|_| !of.contains(&word)) {
                let of: Vec<Safe> = of.iter().map(Safe::name).collect();
                self.refuse::<()>(
                    place,
                    safe!("`{}` belongs to {}, and this check is of {}", Safe::name(key), Safe::join(&of, ", "), word),
                );
            }
        }
    }
}

fn gauge(raw: Option<RawUnit>) -> Gauge {
    let (unit, scale) = match raw {
        None | Some(RawUnit::Number) => (Unit::Number, 1.0),
        Some(RawUnit::Count) => (Unit::Count, 1.0),
        Some(RawUnit::Seconds) => (Unit::Seconds, 1.0),
        Some(RawUnit::Ms) => (Unit::Seconds, 0.001),
        Some(RawUnit::Bytes) => (Unit::Bytes, 1.0),
        Some(RawUnit::Percent) => (Unit::Share, 0.01),
        Some(RawUnit::Share) => (Unit::Share, 1.0),
        Some(RawUnit::PerSecond) => (Unit::PerSecond, 1.0),
        Some(RawUnit::Text) => (Unit::Text, 1.0),
    };
    Gauge { unit, scale }
}

/// The name of a check that has none.
fn given(kind: &CheckKind) -> String {
    let what = match kind {
        CheckKind::Health(ask) => ask.targets.join(" "),
        CheckKind::Queue(names) => names.join(" "),
        CheckKind::Workers | CheckKind::Beat | CheckKind::Redis => String::new(),
        CheckKind::Postgres(name) => name.clone(),
        CheckKind::Sql(ask) => ask.statement.split_whitespace().take(8).collect::<Vec<_>>().join(" "),
        CheckKind::Logs(ask) => {
            ask.targets.iter().chain(&ask.level).chain(&ask.matches).chain(&ask.value).cloned().collect::<Vec<_>>().join(" ")
        }
        CheckKind::Kubernetes(ask) => ask.targets.join(" "),
        CheckKind::Http(ask) => HttpUrl::parse(&ask.url).map(|u| u.shown().to_string()).unwrap_or_default(),
        CheckKind::Tcp(ask) | CheckKind::Tls(ask) => ask.address.clone(),
        CheckKind::Promql(ask) => ask.query.clone(),
        CheckKind::Command(words) => words.first().cloned().unwrap_or_default(),
    };
    format!("{} {what}", kind.word()).trim().to_owned()
}
