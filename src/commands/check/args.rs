//! The flags of `obsctl check`.

use super::init::InitArgs;
use crate::{checks::report::ReportAsk, text::units};
use clap::Subcommand;
use jiff::SignedDuration;
use std::path::PathBuf;

/// Assert over everything that obsctl can see; without a file, the built-in runbook.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  obsctl check                                   is anything wrong? the built-in runbook\n  obsctl check checks.yaml --only backend        a file of one's own, and of it what is tagged or named so\n  obsctl check checks.yaml --wait 5m             until all is well, or five minutes have passed\n  obsctl check --save before.json                before a deploy, and after it:\n  obsctl check --diff before.json                what is worse than before\n\nExit status: 0 well (4: warnings, with --fail-on warn), 1 a check failed (with --diff: one that did not before), 2 usage or a file that is wrong,\n3 could not tell, 124 --wait or --deadline ended, 130 interrupted. With --nagios: 0 ok, 1 warning, 2 critical, 3 unknown."
)]
pub struct Args {
    /// Files of checks (their form: obsctl check schema)
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// A file of checks (repeat: several)
    #[arg(short = 'f', long = "file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub more: Vec<PathBuf>,
    /// Only checks of this name or tag, or whose name begins with it (repeat: any of them), and what they need
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Say of each check what it asks, what it saw, and when that is bad
    #[arg(long)]
    pub explain: bool,
    /// Read the files and say what would be asked; asks nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask again until all is well, for so long at most (exit 124)
    #[arg(long, value_name = "DURATION", value_parser = length)]
    pub wait: Option<SignedDuration>,
    /// The time between two rounds of --wait
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = length, requires = "wait")]
    pub interval: SignedDuration,
    /// How long one look may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = length)]
    pub timeout: SignedDuration,
    /// Keep the results, to compare with later
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub save: Option<PathBuf>,
    /// Compare with kept results: new failures, fixed ones, figures that got worse
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub diff: Option<PathBuf>,
    /// A report for another program (repeat: several): human, json, ndjson, junit, github, summary, nagios or prometheus; with =FILE into
    /// a file, else to stdout in place of the screen. summary goes to the file that GitHub names, where it does
    #[arg(long, value_name = "FORM[=FILE]", value_parser = ReportAsk::parse)]
    pub report: Vec<ReportAsk>,
    /// As a plugin of Nagios or Icinga: its one line on stdout, and its status
    #[arg(long)]
    pub nagios: bool,
    /// Also warnings end with a status other than 0
    #[arg(long, value_name = "WHAT", value_enum)]
    pub fail_on: Option<crate::cli::FailOn>,
    /// A file, or none.
    #[command(subcommand)]
    pub verb: Option<CheckVerb>,
}

/// What else there is to do with checks.
#[derive(Clone, Debug, Subcommand)]
pub enum CheckVerb {
    /// A first file of checks, from what there is
    Init(InitArgs),
    /// The JSON Schema of a file of checks
    Schema,
}

impl Args {
    /// All files.
    pub fn all_files(&self) -> Vec<PathBuf> {
        self.files.iter().chain(&self.more).cloned().collect()
    }
}

fn length(text: &str) -> Result<SignedDuration, String> {
    units::parse_duration(text).filter(|d| d.as_millis() >= 100).ok_or_else(|| "a duration of 100ms or more, as in 30s or 5m".into())
}
