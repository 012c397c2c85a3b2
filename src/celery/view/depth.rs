//! The screen of `obsctl queue depth`: the sentence, the queues, where the other tasks are, what is behind it, the next command.

use crate::{
    answer::{Answer, Finding, Hint, Severity, Verdict},
    celery::{
        analyze::workers::state_of_pod,
        model::{Age, AgeSource, DepthFacts, QueueDepth, ServerFacts, ServerRole, WorkerHeard},
    },
    report::{Cell, Doc, Line, Look, Style, Table, Where, out::hint_line},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Empty and well queues are folded beyond so many.
const EMPTY_SHOWN: usize = 5;
/// Commands that are named as the next.
const COMMANDS: usize = 3;
/// Names in one line.
const NAMES: usize = 6;
/// The bars of a sparkline, from nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lengths of each queue so far, the oldest first: what `--watch` draws.
#[derive(Debug, Default)]
pub struct DepthHistory(BTreeMap<Safe, Vec<u64>>);

impl DepthHistory {
    /// How many looks are drawn.
    const LOOKS: usize = 24;

    /// One more look.
    pub fn add(&mut self, facts: &DepthFacts) {
        for queue in &facts.queues {
            let lengths = self.0.entry(queue.name.clone()).or_default();
            if lengths.len() == Self::LOOKS {
                lengths.remove(0);
            }
            lengths.push(queue.waiting.unwrap_or(0));
        }
    }

    fn line(&self, name: &Safe) -> Safe {
        let lengths = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let most = lengths.iter().copied().max().unwrap_or(0).max(1);
        let bar = |n: &u64| BARS.get(usize::try_from(n * 7 / most).unwrap_or(7)).copied().unwrap_or('█');
        Safe::name(lengths.iter().map(bar).collect::<String>())
    }
}

/// Draws an answer. With a history, the course of each queue too.
pub fn depth(answer: &Answer<DepthFacts>, place: &Where, look: &Look, history: Option<&DepthHistory>) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    let looks = match facts.samples {
        1 => "1 sample".into(),
        n => safe!("{} samples in {:.1} s", n, facts.apart_s),
    };
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}  read-only", looks)));
    let told = headline(&mut doc, answer);
    doc.gap();
    let mut notes = Notes::default();
    if !facts.queues.is_empty() {
        queues(&mut doc, facts, look, history, &mut notes);
    }
    accounting(&mut doc, facts);
    unacked(&mut doc, facts);
    next_tasks(&mut doc, facts);
    workers(&mut doc, facts, look);
    if let Some(beat) = &facts.beat {
        label(&mut doc, "beat", if beat.late { Style::Warn } else { Style::Plain }, beat.says.clone());
    }
    server(&mut doc, &facts.server);
    for finding in answer.findings.iter().filter(|finding| !told.is_some_and(|told| told == *finding)) {
        other(&mut doc, finding, look);
    }
    notes.draw(&mut doc, look);
    for missing in &answer.coverage.missing {
        let hint = missing.hint.as_ref().map(|hint| safe!("  ({})", hint_line(hint))).unwrap_or_default();
        label(&mut doc, "not seen", Style::Dim, safe!("{}: {}{}", missing.part.name, missing.why.says(), hint));
    }
    next(&mut doc, answer);
    doc
}

/// The verdict in a sentence: that of the worst finding.
fn headline<'a>(doc: &mut Doc, answer: &'a Answer<DepthFacts>) -> Option<&'a Finding> {
    let (word, style) = match answer.verdict() {
        Verdict::Ok => ("OK      ", Style::Good),
        Verdict::Warning => ("WARN    ", Style::Warn),
        Verdict::Unknown => ("UNKNOWN ", Style::Warn),
        Verdict::Failed => ("FAILED  ", Style::Bad),
    };
    let worst = answer.findings.first().filter(|finding| finding.severity != Severity::Info);
    let facts = &answer.facts;
    let says = match worst {
        Some(finding) => {
            let like = answer.findings.iter().filter(|f| f.severity == finding.severity).count();
            if like > 1 { safe!("{}. {} more as bad.", finding.says, like - 1) } else { safe!("{}.", finding.says) }
        }
        None if facts.waiting == 0 => "nothing waits.".into(),
        None => {
            safe!("{} wait, and nothing is wrong.", units::plural(usize::try_from(facts.waiting).unwrap_or(usize::MAX), "task", "tasks"))
        }
    };
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, says), 8);
    worst.into_iter().for_each(|finding| settings(doc, finding));
    worst
}

fn queues(doc: &mut Doc, facts: &DepthFacts, look: &Look, history: Option<&DepthHistory>, notes: &mut Notes) {
    let mut head = vec![
        Cell::left(Style::Dim, "QUEUE"),
        Cell::right(Style::Dim, "WAITING"),
        Cell::right(Style::Dim, "NET/S"),
        Cell::left(Style::Dim, "OLDEST WAITS"),
        Cell::left(Style::Dim, "EMPTY IN"),
    ];
    head.extend(history.map(|_| Cell::left(Style::Dim, "COURSE")));
    head.push(Cell::left(Style::Dim, "VERDICT"));
    let mut table = Table { head, rows: Vec::new() };
    let is_empty = |queue: &&QueueDepth| queue.waiting == Some(0) && queue.verdict == Verdict::Ok;
    let empty = facts.queues.iter().filter(is_empty).count();
    let fold = empty > EMPTY_SHOWN && !look.verbose;
    for queue in facts.queues.iter().filter(|queue| !(fold && is_empty(queue))) {
        table.rows.push(row(queue, history, notes));
    }
    doc.table(table);
    if fold {
        doc.line(Line::new().with(Style::Dim, safe!("{} are empty (-v lists them)", units::plural(empty, "queue", "queues"))));
    }
}

fn row(queue: &QueueDepth, history: Option<&DepthHistory>, notes: &mut Notes) -> Vec<Cell> {
    let (word, style) = match queue.verdict {
        Verdict::Ok => ("ok     ", Style::Plain),
        Verdict::Warning => ("warning", Style::Warn),
        Verdict::Unknown => ("unknown", Style::Warn),
        Verdict::Failed => ("FAILED ", Style::Bad),
    };
    let filled = queue.waiting.is_some_and(|n| n > 0);
    let oldest = match (&queue.oldest, filled) {
        (Some(age), _) => {
            let sign = match age.by {
                by if by.at_least() => "≥ ",
                AgeSource::Flow => "≈ ",
                _ => "",
            };
            safe!("{}{} [{}]", sign, span(age.s), notes.of(age))
        }
        (None, true) => safe!("? [{}]", notes.because(queue.age_unknown.clone().unwrap_or_default())),
        (None, false) => "–".into(),
    };
    let empty_in = match (filled, queue.empty_in_s, queue.net_per_s) {
        (false, ..) => "–".into(),
        (_, Some(s), _) => span(s),
        (_, None, Some(_)) => "never".into(),
        (_, None, None) => "?".into(),
    };
    let mut cells = vec![
        Cell::left(Style::Plain, queue.name.clone()),
        Cell::right(Style::Plain, queue.waiting.map_or_else(|| "?".into(), units::count)),
        Cell::right(Style::Plain, queue.net_per_s.map_or_else(|| "?".into(), net)),
        Cell::left(Style::Plain, oldest),
        Cell::left(Style::Plain, empty_in),
    ];
    cells.extend(history.map(|history| Cell::left(Style::Plain, history.line(&queue.name))));
    cells.push(Cell::left(style, if queue.why.is_empty() { word.trim_end().into() } else { safe!("{} {}", word, queue.why) }));
    cells
}

/// `+1.2`, `−0.5`, `0`.
fn net(per_s: f64) -> Safe {
    match per_s {
        n if n.abs() < 0.05 => "0".into(),
        n if n > 0.0 => safe!("+{:.1}", n),
        n => safe!("−{:.1}", -n),
    }
}

fn span(s: f64) -> Safe {
    units::duration(SignedDuration::try_from_secs_f64(s).unwrap_or(SignedDuration::MAX))
}

/// Where all tasks are, as far as Redis and the heartbeats show it. What may overlap is not added up.
fn accounting(doc: &mut Doc, facts: &DepthFacts) {
    let mut priorities: BTreeMap<u8, u64> = BTreeMap::new();
    for list in facts.queues.iter().flat_map(|queue| &queue.priorities) {
        *priorities.entry(list.step).or_default() += list.waiting;
    }
    let by: Vec<Safe> = priorities.iter().map(|(step, n)| safe!("{} in priority {}", units::count(*n), *step)).collect();
    let mut line = Line::new().with(Style::Dim, "tasks     ").with(Style::Strong, safe!("{} waiting", units::count(facts.waiting)));
    if priorities.keys().any(|step| *step != 0) {
        line.push(Style::Dim, &safe!(" ({})", Safe::join(&by, ", ")));
    }
    match facts.delivered.count {
        Some(n) => line.push(Style::Plain, &safe!(" + {} delivered, not acknowledged", units::count(n))),
        None => line.push(Style::Warn, &" + delivered: not known".into()),
    }
    if facts.delivered.count.is_some_and(|n| n > 0) {
        line.push(Style::Dim, &" (prefetched, and those with an ETA; running ones too with acks_late or a solo pool)".into());
    }
    match facts.running {
        Some(n) => {
            line.push(Style::Plain, &safe!(" + {} running", units::count(n)));
            line.push(Style::Dim, &" (by heartbeats; acknowledged early, they are in no Redis key)".into());
        }
        None => line.push(Style::Dim, &" + running: not known (no worker was heard; acknowledged early, they are in no Redis key)".into()),
    }
    doc.wrapped(line, 10);
}

fn unacked(doc: &mut Doc, facts: &DepthFacts) {
    let delivered = &facts.delivered;
    let (Some(oldest), Some(again)) = (delivered.oldest, delivered.redelivery) else { return };
    let now = facts.observed_at;
    let when = |at: Timestamp| {
        let away = at.duration_since(now);
        if away.is_negative() { safe!("due since {}", units::duration(-away)) } else { safe!("in {}", units::duration(away)) }
    };
    let assumed = if delivered.timeout_assumed { ": default, unconfirmed" } else { "" };
    let says = safe!(
        "oldest delivered {} ago → sent again {} (visibility timeout {}{})",
        units::duration(now.duration_since(oldest).max(SignedDuration::ZERO)),
        when(again),
        span(delivered.visibility_timeout_s),
        assumed
    );
    label(doc, "unacked", Style::Plain, says);
}

/// What the queues in trouble are made of, by a small sample.
fn next_tasks(doc: &mut Doc, facts: &DepthFacts) {
    let bad = facts.queues.iter().filter(|queue| queue.verdict != Verdict::Ok && !queue.composition.is_empty());
    for (i, queue) in bad.take(2).enumerate() {
        let all: u64 = queue.composition.iter().map(|(_, n)| n).sum();
        let parts: Vec<Safe> = queue.composition.iter().take(3).map(|(task, n)| safe!("{} {}", *n, task)).collect();
        label(
            doc,
            if i == 0 { "next" } else { "" },
            Style::Plain,
            safe!("{}: of the next {}: {}", queue.name, all, Safe::join(&parts, ", ")),
        );
    }
}

fn workers(doc: &mut Doc, facts: &DepthFacts, look: &Look) {
    let workers = &facts.workers;
    let Some(s) = workers.listened_s else {
        let why = workers.deaf.clone().unwrap_or_else(|| "their channel was not listened to".into());
        let heard: Vec<Safe> = workers.heard.iter().take(NAMES).map(|worker| worker.name.clone()).collect();
        let heard = if heard.is_empty() { Safe::EMPTY } else { safe!("   heard so far: {}", Safe::join(&heard, "   ")) };
        return label(doc, "workers", Style::Dim, safe!("not heard: {}{}", why, heard));
    };
    let most = if look.verbose { usize::MAX } else { NAMES };
    let one = |worker: &WorkerHeard| {
        let running = worker.active.map_or_else(|| "running ?".into(), |n| safe!("{} running", n));
        let rate = worker.per_s.map(|rate| safe!(", {:.1} tasks/s", rate)).unwrap_or_default();
        safe!("{} {}{}", worker.name, running, rate)
    };
    let heard: Vec<Safe> = workers.heard.iter().take(most).map(one).collect();
    let says = match workers.heard.len().saturating_sub(heard.len()) {
        _ if heard.is_empty() => safe!("none was heard in {:.1} s", s),
        0 => safe!("heard in {:.1} s   {}", s, Safe::join(&heard, "   ")),
        more => safe!("heard in {:.1} s   {}   and {} more (-v)", s, Safe::join(&heard, "   "), more),
    };
    label(doc, "workers", Style::Plain, says);
    if let Some(pods) = &workers.pods {
        for worker in workers.silent.iter().take(most) {
            let pod = pods.iter().find(|pod| pod.is_of(worker));
            let says = pod.map_or_else(|| "its pod is gone".into(), |pod| state_of_pod(pod, facts.observed_at));
            label(doc, "", Style::Warn, safe!("silent   {}   {}", *worker, says));
        }
        let more = workers.silent.len().saturating_sub(most);
        if more > 0 {
            label(doc, "", Style::Warn, safe!("and {} more (-v)", more));
        }
    } else if !workers.silent.is_empty() {
        let names = Safe::join(workers.silent.iter().take(most), "   ");
        let more = workers.silent.len().saturating_sub(most);
        let more = if more > 0 { safe!("   and {} more (-v)", more) } else { Safe::EMPTY };
        label(doc, "", Style::Warn, safe!("silent          {}{}", names, more));
    }
}

fn server(doc: &mut Doc, server: &ServerFacts) {
    let role = match (server.role, server.link_up) {
        (Some(ServerRole::Primary), _) => " primary",
        (Some(ServerRole::Replica), Some(false)) => " replica, without its primary",
        (Some(ServerRole::Replica), _) => " replica",
        (None, _) => "",
    };
    let memory = match (server.memory, server.memory_limit) {
        (Some(used), Some(limit)) => safe!("   memory {} of {}", units::bytes(used), units::bytes(limit)),
        (Some(used), None) => safe!("   memory {}, no limit", units::bytes(used)),
        (None, _) => Safe::EMPTY,
    };
    let policy = server.eviction.as_ref().map(|policy| safe!("   {}", policy)).unwrap_or_default();
    let Some(version) = &server.version else { return };
    let product = server.product.clone().unwrap_or_default();
    let name = if product.as_str() == "Redis" { version.clone() } else { safe!("{} {}", product, version) };
    label(doc, "redis", Style::Plain, safe!("{}{}{}{}", name, role, memory, policy));
}

/// What else was found.
fn other(doc: &mut Doc, finding: &Finding, look: &Look) {
    let (word, style) = match finding.severity {
        Severity::Failed => ("FAILED", Style::Bad),
        Severity::Unknown => ("UNKNOWN", Style::Warn),
        Severity::Warning => ("WARN", Style::Warn),
        Severity::Info => ("note", Style::Dim),
    };
    doc.wrapped(Line::new().with(style, safe!("{:<10}", Safe::from(word))).with(Style::Plain, finding.says.clone()), 10);
    if look.verbose {
        for line in &finding.evidence {
            doc.wrapped(Line::new().with(Style::Dim, safe!("          {}", line)), 10);
        }
    }
    settings(doc, finding);
}

/// What to change or to look at, beside the commands.
fn settings(doc: &mut Doc, finding: &Finding) {
    for hint in finding.next.iter().filter(|hint| !matches!(hint, Hint::Run(_))) {
        doc.wrapped(Line::new().with(Style::Dim, safe!("{:<10}{}", Safe::EMPTY, hint_line(hint))), 17);
    }
}

fn label(doc: &mut Doc, name: &'static str, style: Style, says: Safe) {
    doc.wrapped(Line::new().with(Style::Dim, safe!("{:<10}", Safe::from(name))).with(style, says), 10);
}

fn next(doc: &mut Doc, answer: &Answer<DepthFacts>) {
    let mut commands: Vec<Safe> = Vec::new();
    for hint in answer.findings.iter().flat_map(|finding| &finding.next) {
        if let Hint::Run(command) = hint
            && commands.len() < COMMANDS
            && !commands.contains(command)
        {
            commands.push(command.clone());
        }
    }
    if !commands.is_empty() {
        doc.wrapped(Line::new().with(Style::Strong, "NEXT      ").with(Style::Plain, Safe::join(&commands, "    ")), 10);
    }
}

/// Footnotes: how each age is known, said once.
#[derive(Default)]
struct Notes(Vec<Note>);

#[derive(PartialEq)]
enum Note {
    By(AgeSource),
    Earlier(Timestamp),
    Unknown(Safe),
}

impl Notes {
    fn of(&mut self, age: &Age) -> usize {
        // Shown to the minute, so told apart by the minute.
        let minute = Timestamp::from_second(age.since.as_second() / 60 * 60).unwrap_or(age.since);
        self.number(if age.earlier_run { Note::Earlier(minute) } else { Note::By(age.by) })
    }
    fn because(&mut self, why: Safe) -> usize {
        self.number(Note::Unknown(why))
    }
    fn number(&mut self, note: Note) -> usize {
        let at = self.0.iter().position(|known| *known == note).unwrap_or_else(|| {
            self.0.push(note);
            self.0.len() - 1
        });
        at + 1
    }
    fn draw(&self, doc: &mut Doc, look: &Look) {
        for (i, note) in self.0.iter().enumerate() {
            let says = match note {
                Note::By(by @ AgeSource::Seen) => safe!("{} in both samples", by.says()),
                Note::By(by) => by.says().into(),
                Note::Earlier(since) => {
                    let at = since.to_zoned(look.zone.clone()).strftime("%H:%M").to_string();
                    safe!("lower bound, seen by the run of {} on this machine", Safe::name(at))
                }
                Note::Unknown(why) => why.clone(),
            };
            doc.wrapped(Line::new().with(Style::Dim, safe!("[{}] {}", i + 1, says)), 4);
        }
    }
}
