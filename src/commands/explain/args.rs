//! The flags of `obsctl explain`.

use std::path::PathBuf;

/// Says why a statement takes what it takes: its plan, the time of each step, the causes, and what to try.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A plan is read as EXPLAIN (FORMAT JSON) makes it, of PostgreSQL 14 to 18 with any options; as psql frames it, as pgAdmin \
                  and auto_explain keep it. The status is 0 whatever the plan says, and 3 where there is none."
)]
pub struct Args {
    /// A saved plan instead of a server; - is stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub plan: PathBuf,
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
