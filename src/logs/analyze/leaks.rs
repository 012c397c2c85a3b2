//! What the redactor had to hide: how many values of which kind, in which app, by which logger. Never the values.

use super::{Census, stats::event};
use crate::{
    logs::{
        flow::keep::Seen,
        model::{Entry, Record},
    },
    report::Report,
    text::{Redactor, Safe, SafeBuf, SecretKind, Tally},
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;

/// So many rows are told apart.
const MOST: usize = 2_000;

/// What had to be hidden.
#[derive(Clone, Debug, Serialize)]
pub struct LogLeaks {
    /// Since when was asked; none: everything there is.
    pub since: Option<Timestamp>,
    /// When it was looked.
    pub observed_at: Timestamp,
    /// Records that were read; none where lines were searched that cannot be among them.
    pub read: Option<u64>,
    /// Records in which something had to be hidden.
    pub records: u64,
    /// Values in all.
    pub values: u64,
    /// By kind, app, logger and event: most first within a kind, the worst kind first.
    pub rows: Vec<LeakRow>,
    /// Values of further rows, too many to tell apart.
    pub left_out: u64,
}

impl Report for LogLeaks {
    const KIND: &'static str = "logs.leaks";
    const VERSION: u32 = 1;
}

/// What one logger let out.
#[derive(Clone, Debug, Serialize)]
pub struct LeakRow {
    /// What kind: `card`, `jwt`, `secret`.
    pub kind: &'static str,
    /// The app; else the pod or file.
    pub app: Safe,
    /// The logger, where the line names one.
    pub logger: Option<Safe>,
    /// What such a line says: its event, or its message without numbers and IDs.
    pub event: Safe,
    /// How many values.
    pub values: u64,
    /// In how many records.
    pub records: u64,
    /// The first time.
    pub first: Option<Timestamp>,
    /// The last time.
    pub last: Option<Timestamp>,
    /// A pod or file that wrote it.
    pub by: Safe,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    rank: usize,
    app: Safe,
    logger: Option<Safe>,
    event: Safe,
}

struct Leaked {
    values: u64,
    records: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    by: Safe,
}

/// The kinds, the worst first.
const WORST: [SecretKind; 12] = [
    SecretKind::Pem,
    SecretKind::AwsKey,
    SecretKind::UrlPassword,
    SecretKind::Secret,
    SecretKind::Bearer,
    SecretKind::Jwt,
    SecretKind::SessionId,
    SecretKind::Card,
    SecretKind::Iban,
    SecretKind::Ssn,
    SecretKind::Email,
    SecretKind::Address,
];

/// Collects what had to be hidden.
pub struct LeakTally {
    redact: Redactor,
    rows: HashMap<Key, Leaked>,
    records: u64,
    values: u64,
    left_out: u64,
    line: SafeBuf,
}

impl LeakTally {
    /// With this redactor.
    pub fn new(redact: Redactor) -> Self {
        Self { redact, rows: HashMap::new(), records: 0, values: 0, left_out: 0, line: SafeBuf::new() }
    }

    /// What was found.
    pub fn finish(self, since: Option<Timestamp>, now: Timestamp, seen: &Seen) -> LogLeaks {
        let mut rows: Vec<(usize, LeakRow)> = self
            .rows
            .into_iter()
            .map(|(key, leaked)| {
                let row = LeakRow {
                    kind: WORST.get(key.rank).map_or("secret", |k| k.label()),
                    app: key.app,
                    logger: key.logger,
                    event: key.event,
                    values: leaked.values,
                    records: leaked.records,
                    first: leaked.first,
                    last: leaked.last,
                    by: leaked.by,
                };
                (key.rank, row)
            })
            .collect();
        rows.sort_by(|(a, x), (b, y)| {
            a.cmp(b).then_with(|| y.values.cmp(&x.values)).then_with(|| (&x.app, &x.event).cmp(&(&y.app, &y.event)))
        });
        LogLeaks {
            since,
            observed_at: now,
            read: seen.counted(),
            records: self.records,
            values: self.values,
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            left_out: self.left_out,
        }
    }
}

impl Census for LeakTally {
    fn take(&mut self, record: &Record, entry: &Entry) {
        if record.nearby {
            return;
        }
        let mut found = Tally::default();
        for line in std::iter::once(&record.head).chain(&record.tail) {
            self.line.clear();
            self.redact.line_counting(line, &mut self.line, &mut found);
        }
        if found.total() == 0 {
            return;
        }
        self.records += 1;
        self.values += found.total();
        let app = record.origin.app.clone().unwrap_or_else(|| record.origin.name.clone());
        // Whatever else is shown of the line has been through the redactor, even where the user asked to see secrets.
        let event = event(entry, &self.hidden());
        let logger = entry.logger.as_ref().map(|l| self.hidden().safe(l.as_bytes()));
        for (kind, count) in found.found() {
            let rank = WORST.iter().position(|k| *k == kind).unwrap_or(WORST.len());
            let key = Key { rank, app: app.clone(), logger: logger.clone(), event: event.clone() };
            if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
                self.left_out += count;
                continue;
            }
            let by = record.origin.tag();
            let row = self.rows.entry(key).or_insert(Leaked { values: 0, records: 0, first: None, last: None, by });
            row.values += count;
            row.records += 1;
            row.first = [row.first, record.at].into_iter().flatten().min();
            row.last = [row.last, record.at].into_iter().flatten().max();
        }
    }
}

impl LeakTally {
    /// A redactor that hides whatever the flags say.
    fn hidden(&self) -> Redactor {
        if self.redact.shows_sensitive() { Redactor::default() } else { self.redact.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{decode, model::LogOrigin};
    use jiff::tz::TimeZone;
    use std::sync::Arc;

    fn leaks(redact: Redactor, lines: &[&str]) -> LogLeaks {
        let mut tally = LeakTally::new(redact);
        let origin = Arc::new(LogOrigin { name: "web-1".into(), app: Some("web".into()), ..LogOrigin::default() });
        for line in lines {
            let head = line.to_string().into();
            let record = Record { at: None, origin: origin.clone(), sequence: 0, head, tail: Vec::new(), nearby: false };
            tally.take(&record, &decode::record(&record, &TimeZone::UTC));
        }
        tally.finish(None, Timestamp::UNIX_EPOCH, &Seen::default())
    }

    #[test]
    fn every_kind_is_known() {
        for kind in SecretKind::ALL {
            assert!(WORST.contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn counts_by_kind_and_logger_and_never_shows_a_value() {
        let lines = [
            r#"{"event": "sync bob@example.org", "logger": "crm", "password": "hunter2secret"}"#,
            r#"{"event": "sync eve@example.org", "logger": "crm", "password": "hunter3secret"}"#,
            r#"{"event": "quiet"}"#,
        ];
        for redact in [Redactor::default(), Redactor::default().showing_sensitive()] {
            let found = leaks(redact, &lines);
            assert_eq!((found.records, found.values), (2, 4));
            let shown: Vec<String> = found.rows.iter().map(|r| format!("{} {} {}", r.kind, r.event, r.values)).collect();
            assert_eq!(shown, ["secret sync <email> 2", "email sync <email> 2"]);
            let json = serde_json::to_string(&found).expect("JSON");
            assert!(!json.contains("hunter") && !json.contains("example.org"), "{json}");
        }
        assert!(leaks(Redactor::default(), &["nothing"]).rows.is_empty());
    }
}
