//! The screen of `health`: the sentence, a row for each target, a column for each part, then what it rests on and what to do next.

use super::{
    analyze,
    model::{Asked, BodyRead, Condition, HealthFacts, NotHealth, TargetHealth},
};
use crate::{
    answer::{Answer, Finding, Hint, Severity, Verdict},
    report::{Cell, Doc, Line, Look, Report, Style, Table, Where, out::hint_line},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};

/// With more rows than this, those that are not well come first.
const MANY: usize = 10;
/// How many parts get a column of their own.
const COLUMNS: usize = 5;

impl Report for HealthFacts {
    const KIND: &'static str = "health";
    const VERSION: u32 = 1;
}

/// Draws the answer.
pub fn health(answer: &Answer<HealthFacts>, place: &Where, look: &Look) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    let now = facts.observed_at.unwrap_or_default();
    let time = Safe::name(now.to_zoned(look.zone.clone()).strftime("%H:%M:%S %Z").to_string());
    let place: Vec<Safe> = [place.line(), time].into_iter().filter(|part| !part.is_empty()).collect();
    doc.wrapped(Line::new().with(Style::Strong, Safe::join(&place, "  ")), 2);
    let (word, style) = match answer.verdict() {
        Verdict::Ok => ("OK      ", Style::Good),
        Verdict::Warning => ("WARN    ", Style::Warn),
        Verdict::Unknown => ("UNKNOWN ", Style::Warn),
        Verdict::Failed => ("FAILED  ", Style::Bad),
    };
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, analyze::headline(facts, &answer.findings)), 8);
    if !facts.targets.is_empty() {
        doc.gap();
        doc.table(table(facts, now, look));
        doc.gap();
    }
    for (i, finding) in answer.findings.iter().enumerate() {
        draw(&mut doc, finding, i == 0, look);
    }
    if look.verbose {
        phases(&mut doc, facts);
    }
    from_here(&mut doc, facts);
    if !facts.changes.is_empty() {
        doc.line(Line::new().with(Style::Strong, "CHANGED  ").with(Style::Dim, "in the last hour"));
        for line in &facts.changes {
            doc.wrapped(Line::new().with(Style::Plain, safe!("  {}", line)), 12);
        }
    }
    gaps(&mut doc, answer);
    next(&mut doc, answer);
    doc
}

/// The parts that get a column: those that are not well first, then in the order in which they came.
fn columns(facts: &HealthFacts) -> (Vec<Safe>, usize) {
    let mut names: Vec<(Safe, Condition)> = Vec::new();
    for component in facts.targets.iter().filter_map(TargetHealth::health).flat_map(|b| &b.components) {
        match names.iter_mut().find(|(n, _)| *n == component.name) {
            Some((_, worst)) => *worst = (*worst).max(component.condition),
            None => names.push((component.name.clone(), component.condition)),
        }
    }
    let all = names.len();
    if all > COLUMNS {
        // Stable: within a condition the order stays.
        names.sort_by_key(|(_, worst)| std::cmp::Reverse(*worst));
        names.truncate(COLUMNS);
    }
    (names.into_iter().map(|(name, _)| name).collect(), all)
}

fn table(facts: &HealthFacts, now: Timestamp, look: &Look) -> Table {
    let (columns, all) = columns(facts);
    let more = all - columns.len();
    let versions = facts.targets.iter().any(|t| t.version.is_some());
    // Of containers that nobody asked there is no answer.
    let asked = facts.targets.iter().any(|t| t.asked != Asked::Container);
    let mut head = vec![Cell::left(Style::Dim, "TARGET")];
    if asked {
        head.extend([Cell::right(Style::Dim, "HTTP"), Cell::right(Style::Dim, "TIME")]);
    }
    if versions {
        head.push(Cell::left(Style::Dim, "VERSION"));
    }
    head.extend(columns.iter().map(|name| Cell::left(Style::Dim, Safe::name(name.to_uppercase()).clipped(16))));
    if more > 0 {
        head.push(Cell::left(Style::Dim, safe!("+{}", more)));
    }
    head.push(Cell::left(Style::Dim, "NOTE"));
    let mut targets: Vec<&TargetHealth> = facts.targets.iter().collect();
    if targets.len() > MANY {
        // URLs stay above; what is ill among many pods is not to be searched for. Stable: within a condition the order stays.
        targets.sort_by_key(|t| (t.asked != Asked::Url, std::cmp::Reverse(t.condition)));
    }
    let rows = targets.into_iter().map(|target| {
        let exchange = target.exchange.as_ref();
        let style = of_condition(target.condition).1;
        let status = exchange.and_then(|e| e.status).map_or_else(|| "–".into(), |s| safe!("{}", s));
        let took = exchange.map(|e| e.phases.total_ms()).filter(|ms| *ms > 0.0).map_or_else(|| "–".into(), millis);
        let mut row = vec![Cell::left(if asked { Style::Plain } else { style }, target.name.clone())];
        if asked {
            row.extend([Cell::right(style, status), Cell::right(Style::Plain, took)]);
        }
        if versions {
            row.push(Cell::left(Style::Plain, target.version.clone().unwrap_or_else(|| "–".into()).clipped(20)));
        }
        for name in &columns {
            let part = target.health().and_then(|b| b.components.iter().find(|c| c.name == *name));
            row.push(part.map_or_else(
                || Cell::left(Style::Dim, "–"),
                |c| {
                    let (word, style) = of_condition(c.condition);
                    Cell::left(style, word)
                },
            ));
        }
        if more > 0 {
            let rest = target.health().map_or(0, |b| b.components.iter().filter(|c| !columns.contains(&c.name)).count());
            row.push(Cell::left(Style::Dim, if rest > 0 { safe!("{} ok", rest) } else { "–".into() }));
        }
        row.push(Cell::left(Style::Dim, note(target, now, look)));
        row
    });
    Table { rows: rows.collect(), head }
}

fn of_condition(condition: Condition) -> (&'static str, Style) {
    match condition {
        Condition::Ok => ("ok", Style::Good),
        Condition::Skipped => ("skipped", Style::Dim),
        Condition::Degraded => ("degraded", Style::Warn),
        Condition::Unknown => ("?", Style::Warn),
        Condition::Failed => ("FAILED", Style::Bad),
    }
}

/// Milliseconds as a duration.
fn millis(ms: f64) -> Safe {
    let d = SignedDuration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
    if ms < 1.0 { "< 1 ms".into() } else { units::duration(d) }
}

/// The last column: of a URL where its time went, of a pod how it stands.
fn note(target: &TargetHealth, now: Timestamp, look: &Look) -> Safe {
    let mut parts: Vec<Safe> = Vec::new();
    let no_body = match &target.body {
        Some(BodyRead::NotHealth(no)) => Some(match no {
            NotHealth::ProxyPage(_) => "a proxy's page",
            NotHealth::Login => "a login",
            NotHealth::HostRefused => "Host refused",
            NotHealth::SecureRedirect => "https only",
            NotHealth::Redirect(_) => "a redirect",
            NotHealth::Unauthorized => "who asks?",
            NotHealth::NoSuchPath => "no such path",
            NotHealth::NoGet => "takes no GET",
            NotHealth::Page(_) => "a page",
            NotHealth::Compressed => "compressed",
            NotHealth::TooLong => "too long",
            NotHealth::Gibberish => "no health body",
        }),
        _ => None,
    };
    parts.extend(no_body.map(Safe::from));
    if let Some(exchange) = &target.exchange {
        if let Some(hop) = exchange.hops.last().filter(|_| target.asked == Asked::Url) {
            parts.push(match &hop.refused {
                Some(why) => safe!("{} to {} {}", hop.status, hop.to, why),
                None => safe!("{} to {}", hop.status, hop.to),
            });
        }
        if target.asked == Asked::Url {
            for (name, ms) in exchange.phases.each() {
                parts.extend(ms.filter(|ms| *ms >= 0.5).map(|ms| safe!("{} {:.0}", name, ms)));
            }
        }
        if let Some(days) = exchange.certificate.as_ref().and_then(|c| c.days_left(now)).filter(|_| target.asked == Asked::Url) {
            parts.push(match days {
                -1 => "cert ended today".into(),
                // Whole days, as before its end: it ended so many, and a part of one, ago.
                ..0 => safe!("cert ended {}d ago", -days - 1),
                _ => safe!("cert {}d", days),
            });
        }
    }
    if let (Asked::Container, Some(pod)) = (target.asked, &target.pod) {
        parts.extend(pod.why.last().cloned());
    } else if let Some(pod) = &target.pod {
        let since = pod.since.map(|t| safe!(" {}", units::duration(now.duration_since(t)))).unwrap_or_default();
        let state = match (pod.leaving, pod.ready, analyze::starting(target)) {
            (true, ..) => "leaving".into(),
            (_, true, _) => safe!("ready{}", since),
            (_, _, true) => safe!("starting{}", since),
            _ => safe!("not ready{}", since),
        };
        parts.push(if pod.restarts > 0 {
            safe!("{}, {}", state, units::plural(pod.restarts as usize, "restart", "restarts"))
        } else {
            state
        });
    }
    if target.exchange.as_ref().and_then(|e| e.fault.as_ref()).is_some_and(|f| f.needs.is_some()) {
        parts.push("not asked: no right".into());
    }
    if let Some(why) = &target.unasked {
        parts.push(safe!("not asked: {}", why));
    }
    if look.verbose {
        parts.extend(target.question.clone());
    }
    Safe::join(&parts, if target.asked == Asked::Url && no_body.is_none() { " " } else { ", " })
}

fn draw(doc: &mut Doc, finding: &Finding, first: bool, look: &Look) {
    let (word, style) = match finding.severity {
        Severity::Failed => ("FAILED ", Style::Bad),
        Severity::Warning => ("WARN   ", Style::Warn),
        Severity::Unknown => ("?      ", Style::Warn),
        Severity::Info => ("note   ", Style::Dim),
    };
    // The first one is the sentence above: only what it rests on is new.
    if !first || finding.severity == Severity::Info {
        doc.wrapped(Line::new().with(style, word).with(Style::Plain, finding.says.clone()), 7);
    }
    let most = if look.verbose { usize::MAX } else { 3 };
    for line in finding.evidence.iter().take(most) {
        doc.wrapped(Line::new().with(Style::Dim, safe!("       {}", line)), 9);
    }
    for hint in finding.next.iter().filter(|h| !matches!(h, Hint::Run(_))) {
        doc.wrapped(Line::new().with(Style::Dim, safe!("       {}", hint_line(hint))), 9);
    }
}

/// `--deep`: the parts, as obsctl found them itself.
fn from_here(doc: &mut Doc, facts: &HealthFacts) {
    if facts.from_here.is_empty() {
        return;
    }
    doc.line(Line::new().with(Style::Strong, "FROM HERE"));
    let rows = facts.from_here.iter().map(|part| {
        let (word, style) = of_condition(part.condition);
        vec![Cell::left(Style::Plain, safe!("  {}", part.name)), Cell::left(style, word), Cell::left(Style::Plain, part.says.clone())]
    });
    doc.table(Table { head: Vec::new(), rows: rows.collect() });
}

/// `-v`: where the time went, for pods too.
fn phases(doc: &mut Doc, facts: &HealthFacts) {
    for target in facts.targets.iter().filter(|t| t.asked == Asked::Pod) {
        let Some(exchange) = &target.exchange else { continue };
        let parts: Vec<Safe> =
            exchange.phases.each().into_iter().filter_map(|(name, ms)| Some(safe!("{} {}", name, millis(ms?)))).collect();
        doc.wrapped(Line::new().with(Style::Dim, safe!("  {}  {}", target.name, Safe::join(&parts, "  "))), 4);
    }
}

fn gaps(doc: &mut Doc, answer: &Answer<HealthFacts>) {
    for missing in &answer.coverage.missing {
        doc.wrapped(Line::new().with(Style::Dim, safe!("not seen  {}: {}", missing.part.name, missing.why.says())), 10);
    }
}

fn next(doc: &mut Doc, answer: &Answer<HealthFacts>) {
    let mut commands: Vec<Safe> = Vec::new();
    for hint in answer.findings.iter().flat_map(|f| &f.next) {
        if let Hint::Run(command) = hint
            && !commands.contains(command)
        {
            commands.push(command.clone());
        }
    }
    commands.truncate(3);
    if !commands.is_empty() {
        doc.wrapped(Line::new().with(Style::Strong, "NEXT  ").with(Style::Plain, Safe::join(&commands, "    ")), 6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::{Coverage, Missing, Part, Why},
        health::{
            analyze::{
                self, HealthSetup,
                tests::{now, pod, url},
            },
            model::{PartKind, SeenHere},
        },
        report::human,
    };

    const OK: (&str, Condition) = ("redis", Condition::Ok);
    const ILL: (&str, Condition) = ("redis", Condition::Failed);

    fn screen(targets: Vec<TargetHealth>, width: usize) -> String {
        let from_here = vec![
            SeenHere { kind: PartKind::Redis, name: "broker".into(), condition: Condition::Ok, says: "PONG in 3 ms, primary".into() },
            SeenHere {
                kind: PartKind::Database,
                name: "replica".into(),
                condition: Condition::Degraded,
                says: "answers in 21 ms, replica, its last change is 4m 10s old".into(),
            },
        ];
        let facts = HealthFacts { targets, from_here, observed_at: Some(now()), ..HealthFacts::default() };
        let findings = analyze::findings(&facts, &HealthSetup::default(), now());
        let mut coverage = Coverage::default();
        let part = Part { system: "kubernetes", name: "events".into() };
        coverage.miss(Missing { part, why: Why::Unreachable("you may not list them".into()), hint: None });
        let answer = Answer { facts, findings, coverage, sources: Vec::new() };
        let place = Where { environment: Some("production".into()), context: Some("prod-eu".into()), ..Where::default() };
        human::text(&health(&answer, &place, &Look { width, ..Look::default() }), &Look { width, ..Look::default() })
    }

    #[test]
    fn a_degraded_pod_at_eighty_columns() {
        let targets = vec![
            url(200, &[("db", Condition::Ok), OK]),
            pod("backend-7f9c9d5b44-x2lqk", 200, &[("db", Condition::Ok), OK]),
            pod("backend-5b6d7c8f99-p4nn2", 503, &[("db", Condition::Ok), ILL]),
        ];
        snapbox::assert_data_eq!(
            screen(targets, 80),
            snapbox::str![[r#"
production  ctx prod-eu  03:00:00 UTC
FAILED  redis failed on backend-5b6d7c8f99-p4nn2. The public URL says 200

TARGET                    HTTP  TIME  DB  REDIS   NOTE
https://app.example.org    200     –  ok  ok
backend-7f9c9d5b44-x2lqk   200     –  ok  ok      ready 9m, 4 restarts
backend-5b6d7c8f99-p4nn2   503     –  ok  FAILED  not ready 9m, 4 restarts

       redis: Error 111
FAILED backend-5b6d7c8f99-p4nn2 has not been ready for 9m
       Unhealthy: 503
WARN   redis works from here and for 2 others: compare the address and the node
       of backend-5b6d7c8f99-p4nn2
       from here: PONG in 3 ms, primary
       try    compare REDIS_URL or CELERY_BROKER_URL of these pods with those of
         a pod that is well
WARN   replica: answers in 21 ms, replica, its last change is 4m 10s old
FROM HERE
  broker   ok        PONG in 3 ms, primary
  replica  degraded  answers in 21 ms, replica, its last change is 4m 10s old
not seen  events: could not be read: you may not list them
NEXT  obsctl logs pod/backend-5b6d7c8f99-p4nn2 --since 10m --level error

"#]]
        );
    }

    #[test]
    fn forty_pods_are_forty_whole_rows_and_the_ill_come_first() {
        let name = |i: usize| -> &'static str { Box::leak(format!("backend-7f9c9d5b44-x2l{i:02}").into_boxed_str()) };
        let one = |i: usize| if i % 13 == 7 { pod(name(i), 503, &[ILL]) } else { pod(name(i), 200, &[OK]) };
        let targets: Vec<TargetHealth> = (0..40).map(one).chain([url(200, &[OK])]).collect();
        for width in [80, 100] {
            let screen = screen(targets.clone(), width);
            let rows: Vec<&str> = screen.lines().skip_while(|l| !l.starts_with("TARGET")).skip(1).take_while(|l| !l.is_empty()).collect();
            assert!(screen.lines().all(|line| line.chars().count() <= width), "{screen}");
            assert_eq!(rows.len(), 41, "{screen}");
            assert!(rows[0].starts_with("https://") && rows[1..4].iter().all(|row| row.contains("FAILED")), "{screen}");
            assert!(rows[4..].iter().all(|row| !row.contains("FAILED") && row.contains("ready")), "{screen}");
        }
    }
}
