//! The flags of `obsctl explain`.

use super::source::By;
use crate::text::units::parse_duration;
use clap::ArgGroup;
use std::{path::PathBuf, time::Duration};

/// Says why a statement takes what it takes: its plan, the time of each step, the causes, and what to try.
#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["sql", "file", "plan", "queryid", "slowest", "pid"]),
    after_help = "A statement that reads is run once, by EXPLAIN ANALYZE in a READ ONLY transaction with short timeouts, after every function \
                  that it reaches was looked up; --plain runs nothing. A saved plan is read as EXPLAIN (FORMAT JSON) makes it, of PostgreSQL \
                  14 to 18 with any options; as psql frames it, as pgAdmin and auto_explain keep it. All that is asked of a server ends within \
                  30 s, or 20 s after --timeout, or --deadline, with what is known by then. The status is 0 whatever the plan says, 3 where \
                  there is none, and 124 after the deadline."
)]
pub struct Args {
    /// The statement; - is stdin. Placeholders may be $1, %s or %(name)s
    #[arg(value_name = "SQL")]
    pub sql: Option<String>,
    /// A file with the statement; - is stdin
    #[arg(short = 'f', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// The statement with this ID in pg_stat_statements; planned only, unless --analyze
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub queryid: Option<i64>,
    /// The slowest statement of the database; planned only, unless --analyze
    #[arg(long)]
    pub slowest: bool,
    /// Not the slowest, but the one at this place
    #[arg(long, value_name = "N", default_value_t = 1, requires = "slowest", value_parser = clap::value_parser!(u32).range(1..))]
    pub rank: u32,
    /// What slowest means
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, requires = "slowest")]
    pub by: By,
    /// What this server process runs; planned only, unless --analyze
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Run a statement that --queryid, --slowest or --pid found
    #[arg(long, conflicts_with_all = ["plain", "plan"])]
    pub analyze: bool,
    /// A saved plan instead of a server; - is stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub plan: Option<PathBuf>,
    /// The value of a parameter: in order, or name=value
    #[arg(long = "param", value_name = "VALUE", conflicts_with = "plan", allow_hyphen_values = true)]
    pub params: Vec<String>,
    /// The database of the configuration
    #[arg(short = 'd', long, value_name = "NAME", default_value = "main", conflicts_with = "plan")]
    pub database: String,
    /// Explain it on this database instead: a replica of the one where --queryid, --slowest or --pid found it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["plan", "sql", "file"])]
    pub on: Option<String>,
    /// Only ask for the plan: run nothing
    #[arg(long, conflicts_with = "plan")]
    pub plain: bool,
    /// How long the statement may run
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, conflicts_with = "plan")]
    pub timeout: Duration,
    /// A function that may run although obsctl cannot tell what it does
    #[arg(long = "allow-function", value_name = "NAME", conflicts_with = "plan")]
    pub allowed: Vec<String>,
    /// Run it although the role is a superuser, whom no READ ONLY stops from much
    #[arg(long, conflicts_with = "plan")]
    pub allow_superuser: bool,
    /// Run a statement that WRITES, and roll it back. Sequences advance, dead rows stay, rows are locked meanwhile, triggers fire
    #[arg(long, conflicts_with_all = ["plan", "plain"])]
    pub run_write_and_roll_back: bool,
    /// Show every command that was sent to the server
    #[arg(long, conflicts_with = "plan")]
    pub show_commands: bool,
    /// Keep the plan as a file, for --plan and --diff
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub save: Option<PathBuf>,
    /// Compare with a plan that was saved before
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub diff: Option<PathBuf>,
    /// Hide every literal of the statement, on the screen and in what is saved
    #[arg(long)]
    pub redact: bool,
    /// Hide the names of tables, columns and all else as well
    #[arg(long)]
    pub redact_names: bool,
    /// Show all nodes, with all that is known of them
    #[arg(long)]
    pub full: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let found = parse_duration(text).and_then(|d| Duration::try_from(d).ok());
    found.filter(|d| !d.is_zero()).ok_or_else(|| "a duration, as in 10s or 500ms".into())
}
