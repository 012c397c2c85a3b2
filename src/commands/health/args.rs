//! The flags of `obsctl health`.

use crate::health::model::Dialect;
use std::time::Duration;

/// Ask every pod, and the public URL, how it is.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    after_help = "Examples:\n  obsctl health                              every app: its URL, and each pod through its own tunnel\n  obsctl health backend                      one app; deploy/x, svc/x and pod/x work too\n  obsctl health https://app.example.org/api/health/\n  docker compose ps --all --format json | obsctl health -\n\nExit status: 0 well (4: warnings, with --fail-on warn), 1 failed, 2 usage, 3 could not tell, 130 interrupted."
)]
pub struct Args {
    /// A URL, an app of the configuration, KIND/NAME (deploy, sts, ds, svc, po), a bare name, or - for what docker compose ps prints
    ///
    /// None: every app of the environment, else every pod of the namespace that has an HTTP probe.
    #[arg(value_name = "TARGET", add = clap_complete::ArgValueCandidates::new(crate::commands::complete::targets))]
    pub targets: Vec<String>,
    /// Pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// The path of the health endpoint (else the configuration's, else that of the readinessProbe)
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub path: Option<String>,
    /// The port of the pods (else the configuration's, else that of the readinessProbe)
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The form of the answer, where it is not recognised by itself
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    pub dialect: Option<Dialect>,
    /// Ask the broker, the databases and the workers as well, from here, and compare: reads only
    #[arg(long)]
    pub deep: bool,
    /// Ask again every minute and say what changes: obsctl watch, which has flags for it
    #[arg(long)]
    pub watch: bool,
    /// How long one target may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub timeout: Duration,
    /// Exit 4 for warnings
    #[arg(long, value_name = "WHAT", value_enum)]
    pub fail_on: Option<crate::cli::FailOn>,
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("a path begins with /".into()) }
}

fn dialect(text: &str) -> Result<Dialect, String> {
    let names: Vec<&str> = Dialect::ALL.into_iter().map(Dialect::name).collect();
    Dialect::parse(text).ok_or_else(|| format!("one of {}", names.join(", ")))
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = crate::text::units::parse_duration(text).filter(|d| d.is_positive());
    parsed.and_then(|d| Duration::try_from(d).ok()).ok_or_else(|| "a duration, as in 500ms or 5s".into())
}
