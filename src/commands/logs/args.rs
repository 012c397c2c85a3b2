//! The flags of `obsctl logs`: kubectl's names with kubectl's meaning, and what kubectl lacks.

use crate::logs::model::Level;
use jiff::SignedDuration;

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
    /// Everything the request with this ID did (repeat: several); a prefix of 6 or more characters is enough
    ///
    /// The ID of a trace or of a Celery task does too: a task leads to the request that sent it. With -f it ends when the requests and
    /// their tasks have ended.
    #[arg(short = 'r', long, value_name = "ID")]
    pub request_id: Vec<String>,
    /// The requests of the records that --field, --level or -i admit, each told as with --request-id
    #[arg(long, conflicts_with_all = ["request_id", "follow", "tail", "around"])]
    pub requests: bool,
    /// The node's own files too: rotated, compressed, and of every restart
    ///
    /// Needs get on nodes/proxy, and asks whether you have it. That right opens every pod of a node: not one to be given for this.
    #[arg(long, conflicts_with = "follow")]
    pub rotated: bool,
    /// Pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// Only this container
    #[arg(short = 'c', long, value_name = "NAME")]
    pub container: Option<String>,
    /// Go on as new lines come, and with pods that come later
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Followed records in order of time (each held for 0.3 s; late ones are marked) or as they arrive
    #[arg(long, value_name = "ORDER", value_enum, default_value_t, hide_default_value = true)]
    pub order: LogOrder,
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
    /// N records before and after each hit too; a duration (5s): what every pod wrote so long before and after, by time only
    #[arg(long, value_name = "N|TIME", value_parser = around)]
    pub around: Option<Around>,
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
    /// Figures instead of records.
    #[command(flatten)]
    pub figures: super::figures::Figures,
}

/// What else is shown of the neighbourhood of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// So many records before and after, of the same container.
    Records(usize),
    /// So long before and after, of every container.
    Time(SignedDuration),
}

fn around(text: &str) -> Result<Around, String> {
    let time = || crate::text::units::parse_duration(text).map(Around::Time);
    text.parse().map(Around::Records).ok().or_else(time).ok_or_else(|| "a number of records (5) or a time (5s)".into())
}

/// In which order followed records are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogOrder {
    /// By the time at which the node took them.
    #[default]
    Time,
    /// As they come.
    Arrival,
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| "one of debug, info, warning, error, critical".into())
}

/// A size, as a flag gives it.
pub fn bytes(text: &str) -> Result<u64, String> {
    crate::text::units::parse_bytes(text).ok_or_else(|| "a size, as in 64MiB or 2GiB".into())
}
