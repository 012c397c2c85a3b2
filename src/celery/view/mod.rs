//! Facts and findings → a screen.

pub mod depth;
pub mod find;
pub mod peek;
pub mod workers;

pub use depth::{DepthHistory, depth};

use crate::{
    answer::{Answer, Finding, Hint, Severity},
    report::{Doc, Line, Style, out::hint_line},
    safe,
    text::Safe,
};

/// The first of the worst findings, where anything is wrong.
fn worst<T>(answer: &Answer<T>) -> Option<&Finding> {
    let most = answer.findings.iter().map(|finding| finding.severity).max().filter(|severity| *severity > Severity::Info)?;
    answer.findings.iter().find(|finding| finding.severity == most)
}

/// The verdict and the worst finding, or what is known where nothing is wrong.
fn headline<T>(doc: &mut Doc, answer: &Answer<T>, fine: Safe) {
    let worst = worst(answer);
    let (style, word) = worst.map_or((Style::Good, "OK"), |finding| mark(finding.severity));
    let says = worst.map_or(fine, |finding| finding.says.clone());
    doc.wrapped(Line::new().with(style, safe!("{:<7}  ", word)).with(Style::Strong, says), 9);
}

fn mark(severity: Severity) -> (Style, &'static str) {
    match severity {
        Severity::Failed => (Style::Bad, "FAILED"),
        Severity::Unknown => (Style::Warn, "UNKNOWN"),
        Severity::Warning => (Style::Warn, "WARN"),
        Severity::Info => (Style::Dim, "note"),
    }
}

/// All findings with what they rest on, what to change, and the commands to run next. Those of the `told` codes, and the one of the
/// headline, were said above.
fn findings<T>(doc: &mut Doc, answer: &Answer<T>, told: &[&str]) {
    let worst = worst(answer);
    for finding in &answer.findings {
        if told.contains(&finding.code) {
            continue;
        }
        let said = worst.is_some_and(|worst| std::ptr::eq::<Finding>(worst, finding));
        if !said {
            let (style, word) = mark(finding.severity);
            doc.wrapped(Line::new().with(style, safe!("{:<7}  ", word)).with(Style::Plain, finding.says.clone()), 9);
        }
        for line in &finding.evidence {
            doc.wrapped(Line::new().with(Style::Dim, safe!("         {}", *line)), 11);
        }
        for hint in finding.next.iter().filter(|hint| !matches!(hint, Hint::Run(_))) {
            doc.wrapped(Line::new().with(Style::Dim, safe!("         {}", hint_line(hint))), 16);
        }
    }
    let mut commands: Vec<Safe> = Vec::new();
    for hint in answer.findings.iter().flat_map(|finding| &finding.next) {
        if let Hint::Run(command) = hint
            && !commands.contains(command)
        {
            commands.push(command.clone());
        }
    }
    if !commands.is_empty() {
        doc.wrapped(Line::new().with(Style::Strong, "NEXT  ").with(Style::Plain, Safe::join(&commands, "    ")), 6);
    }
}
