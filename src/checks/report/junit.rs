//! JUnit's XML: the part of it that GitLab, Jenkins, GitHub's actions and junitparser all read. An assertion that is false is a `failure`,
//! what could not be found out an `error`; each says in its `type` why.

use super::ReportOf;
use crate::{
    checks::model::{CheckResult, CheckStatus},
    report::out::hint_line,
};

/// A document that grows by elements; what is put into it is escaped by where it stands.
#[derive(Default)]
struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.open.len()));
    }
    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push(' ');
            self.text.push_str(key);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }
    fn begin(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
    }
    fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.text.push_str(&format!("</{name}>\n"));
        }
    }
    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], inside: &str) {
        self.tag(name, attributes);
        if inside.is_empty() {
            self.text.push_str("/>\n");
        } else {
            self.text.push('>');
            escape(inside, &mut self.text);
            self.text.push_str(&format!("</{name}>\n"));
        }
    }
}

/// Text as XML 1.0 can hold it: a character that it cannot is a question mark.
fn escape(raw: &str, out: &mut String) {
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push_str(&format!("&#{};", c as u32)),
            c if (c as u32) < 0x20 || matches!(c as u32, 0xfffe | 0xffff) => out.push('?'),
            c => out.push(c),
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// How a check counts.
#[derive(Clone, Copy, PartialEq)]
enum Counts {
    Passed,
    Failure,
    Error,
    Skipped,
}

fn counts(of: ReportOf<'_>, check: &CheckResult) -> Counts {
    match check.status {
        _ if of.fails(check) => Counts::Failure,
        CheckStatus::Unknown if !of.known(check) => Counts::Error,
        CheckStatus::Skipped | CheckStatus::Failed | CheckStatus::Unknown => Counts::Skipped,
        CheckStatus::Ok | CheckStatus::Warning => Counts::Passed,
    }
}

pub(super) fn junit(of: ReportOf<'_>) -> String {
    let facts = of.facts();
    let mut xml = Xml { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() };
    let n = |wanted: Counts| facts.checks.iter().filter(|c| counts(of, c) == wanted).count().to_string();
    let at = facts.observed_at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let (tests, failures, errors, skipped) = (facts.checks.len().to_string(), n(Counts::Failure), n(Counts::Error), n(Counts::Skipped));
    let time = seconds(facts.took_ms);
    let name = of.place.environment.as_ref().map_or("obsctl check".to_owned(), |e| format!("obsctl check {e}"));
    let all: [(&str, &str); 7] = [
        ("name", name.as_str()),
        ("tests", &tests),
        ("failures", &failures),
        ("errors", &errors),
        ("skipped", &skipped),
        ("time", &time),
        ("timestamp", &at),
    ];
    // The timestamp belongs to the suite; the whole has none in the schemas that are strict.
    let of_all: Vec<(&str, &str)> = all.iter().copied().filter(|(key, _)| *key != "timestamp" && *key != "skipped").collect();
    xml.begin("testsuites", &of_all);
    xml.begin("testsuite", &all);
    for check in &facts.checks {
        case(of, check, &mut xml);
    }
    xml.end();
    xml.end();
    xml.text
}

fn case(of: ReportOf<'_>, check: &CheckResult, xml: &mut Xml) {
    let class = format!("obsctl.{}", check.system);
    let time = seconds(check.took_ms);
    let mut attributes = vec![("classname", class.as_str()), ("name", check.name.as_str()), ("time", time.as_str())];
    let file = check.place.as_ref().map(|p| p.file.as_str());
    attributes.extend(file.map(|file| ("file", file)));
    let counted = counts(of, check);
    if counted == Counts::Passed && check.status == CheckStatus::Ok {
        return xml.leaf("testcase", &attributes, "");
    }
    xml.begin("testcase", &attributes);
    let kind = check.unanswered.map_or(check.status.word(), |why| why.word());
    let message = format!("{} (want {})", check.says, check.want);
    let says = ("message", message.as_str());
    match counted {
        Counts::Failure => xml.leaf("failure", &[says, ("type", kind)], &text(check)),
        Counts::Error => xml.leaf("error", &[says, ("type", kind)], &text(check)),
        Counts::Skipped if of.known(check) => {
            let message = format!("not new: {}", check.says);
            xml.leaf("skipped", &[("message", message.as_str())], "");
        }
        Counts::Skipped => xml.leaf("skipped", &[("message", check.says.as_str())], ""),
        Counts::Passed => xml.leaf("system-out", &[], &format!("{}: {}", check.status.word(), text(check))),
    }
    xml.end();
}

/// The message again, since some show only the text; and what it rests on.
fn text(check: &CheckResult) -> String {
    let mut all = vec![format!("{} (want {})", check.says, check.want)];
    all.extend(check.place.iter().map(|p| p.says().to_string()));
    all.extend(check.evidence.iter().map(|e| format!("  {e}")));
    all.extend(check.next.iter().take(3).map(|hint| hint_line(hint).to_string()));
    all.extend(check.runbook.iter().map(|r| format!("runbook {r}")));
    all.join("\n")
}
