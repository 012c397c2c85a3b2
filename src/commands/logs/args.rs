//! The flags of `obsctl logs`: kubectl's names with kubectl's meaning, and what kubectl lacks.

use crate::logs::model::Level;

/// Show logs of pods, apps and files; with --request-id, everything one request did.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  obsctl logs --request-id abc123          what this request did, in every web and worker pod\n  obsctl logs backend celery --since 1h --level error\n  obsctl logs deploy/backend -f            follow all its pods, and those that come later\n  obsctl logs 'logs/*.log' -r abc123       the same without a cluster\n\nExit status: 0 found or shown, 1 absent though all was read, 2 usage, 3 could not tell, 130 interrupted."
)]
pub struct Args {
    /// An app of the configuration, KIND/NAME (deploy, sts, ds, job, cj, po), a bare name, a file, a folder, a glob, or - for stdin
    ///
    /// None: every app of the environment, else every pod of the namespace.
    #[arg(value_name = "TARGET", add = clap_complete::ArgValueCandidates::new(crate::commands::complete::targets))]
    pub targets: Vec<String>,
    /// Everything the request with this ID did; a prefix of 6 or more characters is enough
    #[arg(short = 'r', long, value_name = "ID")]
    pub request_id: Option<String>,
    /// Pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// Only this container
    #[arg(short = 'c', long, value_name = "NAME")]
    pub container: Option<String>,
    /// Go on as new lines come, and with pods that come later
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// The newest N records of each container, counted after filtering (-1: all)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub tail: Option<i64>,
    /// Not older: a duration (10m, 2h), a time (RFC 3339) or a clock time (02:44)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Not older than this time (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    pub since_time: Option<String>,
    /// Not newer: as --since
    #[arg(long, value_name = "WHEN", conflicts_with = "follow")]
    pub until: Option<String>,
    /// The container that ran before this one
    #[arg(short = 'p', long, conflicts_with = "follow")]
    pub previous: bool,
    /// Only lines that match this regular expression (repeat: any of them)
    #[arg(short = 'i', long, value_name = "REGEX")]
    pub include: Vec<String>,
    /// No lines that match this regular expression
    #[arg(short = 'x', long, value_name = "REGEX")]
    pub exclude: Vec<String>,
    /// At least this bad: debug, info, warning, error, critical
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub level: Option<Level>,
    /// Only records whose field has this value (repeat: all of them)
    #[arg(long, value_name = "KEY=VALUE")]
    pub field: Vec<String>,
    /// N records before and after each hit too
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub around: usize,
    /// The whole time stamp in front of each line
    #[arg(long)]
    pub timestamps: bool,
    /// Lines as they were written (still redacted and terminal-safe)
    #[arg(long)]
    pub raw: bool,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Stop reading as soon as something was found
    #[arg(long, requires = "request_id")]
    pub first: bool,
    /// Tracebacks in full
    #[arg(long)]
    pub tracebacks: bool,
    /// Exit 3 when something was found but not everything could be read
    #[arg(long)]
    pub strict: bool,
    /// The most to read from a cluster (files are read whole)
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = bytes)]
    pub max_bytes: u64,
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| "one of debug, info, warning, error, critical".into())
}

fn bytes(text: &str) -> Result<u64, String> {
    crate::text::units::parse_bytes(text).ok_or_else(|| "a size, as in 64MiB or 2GiB".into())
}
