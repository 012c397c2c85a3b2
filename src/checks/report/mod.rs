//! Reports of a run for other programs: one small file per form. Everything in them is redacted and escaped for its form; none decides a
//! status.

mod github;
mod junit;
mod lines;
mod nagios;
mod prometheus;

use super::{
    model::{CheckFacts, CheckResult, CheckStatus},
    view,
};
use crate::{
    answer::Answer,
    exit::ExitStatus,
    report::{Look, Where, human},
    text::{Safe, SafeBuf},
};
use std::path::PathBuf;

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportForm {
    /// As on a terminal.
    Human,
    /// One versioned object.
    Json,
    /// One object per line: `run_start`, a `check` each, `run_end`.
    Ndjson,
    /// JUnit's XML, as GitLab, Jenkins and the rest of them read it.
    Junit,
    /// Workflow commands of GitHub, which annotate a file.
    Github,
    /// Markdown, for the job summary.
    Summary,
    /// A plugin's output of Nagios and Icinga, with performance data.
    Nagios,
    /// Prometheus' text, for the textfile collector.
    Prometheus,
}

/// A report that is wanted, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportAsk {
    /// Its form.
    pub form: ReportForm,
    /// The file; none: stdout.
    pub file: Option<PathBuf>,
}

impl ReportForm {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Self); 8] = [
        ("human", Self::Human),
        ("json", Self::Json),
        ("ndjson", Self::Ndjson),
        ("junit", Self::Junit),
        ("github", Self::Github),
        ("summary", Self::Summary),
        ("nagios", Self::Nagios),
        ("prometheus", Self::Prometheus),
    ];
}

impl ReportAsk {
    /// Reads `junit=report.xml`, `github`, `nagios=-`.
    ///
    /// # Errors
    /// A sentence with the forms that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (word, file) = text.split_once('=').map_or((text, None), |(word, file)| (word, Some(file)));
        let form = ReportForm::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, form)| form);
        let words: Vec<&str> = ReportForm::ALL.iter().map(|(word, _)| *word).collect();
        let form = form.ok_or_else(|| format!("FORM or FORM=FILE; a form is one of {}", words.join(", ")))?;
        if file == Some("") {
            return Err(format!("{word}= names no file: {word}=FILE, or {word} for stdout"));
        }
        Ok(Self { form, file: file.filter(|f| *f != "-").map(PathBuf::from) })
    }
}

/// Everything that a report is made of.
#[derive(Clone, Copy)]
pub struct ReportOf<'a> {
    /// The answer.
    pub answer: &'a Answer<CheckFacts>,
    /// Where it ran.
    pub place: &'a Where,
    /// What the process exits with.
    pub status: ExitStatus,
    /// Whether a warning fails the run.
    pub warnings_fail: bool,
}

impl ReportOf<'_> {
    fn facts(&self) -> &CheckFacts {
        &self.answer.facts
    }
    /// Whether a check was as bad when it was kept, so that it is no news.
    fn known(&self, check: &CheckResult) -> bool {
        self.facts().compared.as_ref().is_some_and(|compared| compared.still.contains(&check.name))
    }
    /// Whether a check fails the run.
    fn fails(&self, check: &CheckResult) -> bool {
        let bad = check.status == CheckStatus::Failed || (check.status == CheckStatus::Warning && self.warnings_fail);
        bad && !self.known(check)
    }
}

/// A report.
pub fn report(form: ReportForm, of: ReportOf<'_>, look: &Look) -> Safe {
    let text = match form {
        ReportForm::Human => {
            let look = Look { colour: false, ..look.clone() };
            human::text(&view::check(of.answer, of.place, of.status, &look), &look)
        }
        ReportForm::Json => lines::whole(of),
        ReportForm::Ndjson => lines::lines(of),
        ReportForm::Junit => junit::junit(of),
        ReportForm::Github => github::annotations(of),
        ReportForm::Summary => github::summary(of),
        ReportForm::Nagios => nagios::nagios(of),
        ReportForm::Prometheus => prometheus::prometheus(of),
    };
    safe_lines(&text)
}

/// What Nagios is told where the run itself failed.
pub fn nagios_unknown(why: &Safe) -> Safe {
    safe_lines(&format!("OBSCTL UNKNOWN - {}\n", nagios::plain(why)))
}

/// Lines of text that is safe already, as one.
fn safe_lines(text: &str) -> Safe {
    let mut page = SafeBuf::new();
    for line in text.lines() {
        page.push_name(line.as_bytes());
        page.end_line();
    }
    page.into_safe()
}

#[cfg(test)]
mod tests;
