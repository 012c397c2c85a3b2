//! Where the reports of a run go: one to stdout, the others each to its file, whole or not at all.

use super::Args;
use crate::{
    answer::Answer,
    checks::{
        model::CheckFacts,
        report::{ReportAsk, ReportForm, ReportOf, report},
        view,
    },
    config::Vars,
    error::{Error, Kind, Result},
    exit::ExitStatus,
    report::{Format, Out, Where},
    safe, store,
    text::Safe,
};
use std::{fs, io::Write, path::PathBuf};

/// The reports that are wanted, each with its place.
pub(super) struct Reports {
    stdout: Option<ReportForm>,
    files: Vec<(ReportForm, PathBuf)>,
    /// GitHub's own file for the summary, which other steps write to as well.
    step: Option<PathBuf>,
}

impl Reports {
    /// By the flags.
    ///
    /// # Errors
    /// `Usage`: two want stdout, or two the same file.
    pub fn of(args: &Args, vars: &Vars) -> Result<Self> {
        let wrong = |what: Safe| Err(Error::new(Kind::Usage, "reading --report").what(what));
        let mut reports = Self { stdout: args.nagios.then_some(ReportForm::Nagios), files: Vec::new(), step: None };
        for ReportAsk { form, file } in &args.report {
            let step = vars.path("GITHUB_STEP_SUMMARY").filter(|_| *form == ReportForm::Summary);
            match (file, step) {
                (Some(file), _) if reports.files.iter().any(|(_, other)| other == file) => {
                    return wrong(safe!("two reports cannot both be written to {}", Safe::name(file.as_os_str().as_encoded_bytes())));
                }
                (Some(file), _) => reports.files.push((*form, file.clone())),
                (None, Some(step)) => reports.step = Some(step),
                (None, None) if reports.stdout.is_some() => {
                    return wrong("stdout carries one report: give the others a file, as in junit=report.xml".into());
                }
                (None, None) => reports.stdout = Some(*form),
            }
        }
        Ok(reports)
    }

    /// Writes all of them; a file that cannot be written does not keep the others from it. The status that is left.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn write(&self, answer: &Answer<CheckFacts>, place: &Where, status: ExitStatus, args: &Args, out: &mut Out) -> Result<ExitStatus> {
        let of = ReportOf { answer, place, status, warnings_fail: args.fail_on.is_some() };
        let look = out.look.clone();
        match (self.stdout, out.format) {
            (Some(form), _) => out.text(&report(form, of, &look))?,
            (None, Format::Ndjson) => out.text(&report(ReportForm::Ndjson, of, &look))?,
            (None, _) => out.answer(answer, place, status, |look| match args.explain {
                true => view::explained(answer, place, status, look),
                false => view::check(answer, place, status, look),
            })?,
        }
        out.flush()?;
        let mut left = status;
        for (form, file) in &self.files {
            let text = report(*form, of, &look);
            if let Err(e) = store::publish(file, text.as_bytes()) {
                lost(file, &e, out);
                left = worse(left);
            }
        }
        if let Some(step) = &self.step {
            let text = report(ReportForm::Summary, of, &look);
            let appended = fs::OpenOptions::new().append(true).create(true).open(step).and_then(|mut f| f.write_all(text.as_bytes()));
            if let Err(e) = appended {
                lost(step, &e, out);
                left = worse(left);
            }
        }
        Ok(left)
    }
}

fn lost(file: &std::path::Path, why: &std::io::Error, out: &mut Out) {
    let doing = safe!("writing the report {}", Safe::name(file.as_os_str().as_encoded_bytes()));
    out.error(&Error::new(Kind::Output, doing).what(Safe::name(why.to_string())));
}

/// Whoever reads only the report would take its absence for a pass.
fn worse(status: ExitStatus) -> ExitStatus {
    match status {
        ExitStatus::Good | ExitStatus::Warnings => ExitStatus::CouldNotTell,
        other => other,
    }
}
