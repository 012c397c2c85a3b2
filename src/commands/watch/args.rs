//! The flags of `obsctl watch`.

use crate::{commands::health, text::units};
use jiff::SignedDuration;
use std::time::Duration;

/// Stand watch: ask again and again, say what changes, and tell somebody.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Who is told stands in the configuration (notify:), and `obsctl notify test` tries it. What a watch knows and whom it has still to tell\nsurvives its end.\n\nExamples:\n  obsctl watch                                  every app, every minute\n  obsctl watch backend --fail-after 2 --silence 30m\n  obsctl watch checks.yaml --fail-after 1       a file of checks, each with its own `for` and route\n  obsctl watch https://app.example.org/api/health/ --ping https://hc-ping.example/uuid\n\nExit status, with --for: 0 all are well, 1 one has failed, 2 usage, 3 could not tell; else 130 interrupted, 143 terminated."
)]
pub struct Args {
    /// As for health: a URL, an app, KIND/NAME or a bare name; none: everything. Or files of checks (NAME.yaml): obsctl check, again and
    /// again, each check with its own route
    #[arg(value_name = "TARGET", add = clap_complete::ArgValueCandidates::new(crate::commands::complete::targets))]
    pub targets: Vec<String>,
    /// Pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// The path of the health endpoint (else the configuration's, else that of the readinessProbe)
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// How long one target may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = length)]
    pub timeout: SignedDuration,
    /// The time from one round to the next; a little more or less, so that many watches do not march in step
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = length)]
    pub interval: SignedDuration,
    /// Failed rounds in a row until somebody is told
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub fail_after: u32,
    /// Good rounds in a row until it is said to be over
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub recover_after: u32,
    /// Tell nobody of new trouble for so long
    #[arg(long, value_name = "DURATION", value_parser = length)]
    pub silence: Option<SignedDuration>,
    /// A URL that is asked after every round: whoever stops hearing from it raises the alarm
    #[arg(long, value_name = "URL")]
    pub ping: Option<String>,
    /// End by itself after so long, with a summary
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    pub lasts: Option<SignedDuration>,
}

impl Args {
    /// `health --watch`.
    pub fn of(args: health::Args) -> Self {
        Self {
            targets: args.targets,
            selector: args.selector,
            path: args.path,
            timeout: SignedDuration::try_from(args.timeout).unwrap_or(SignedDuration::from_secs(10)),
            interval: SignedDuration::from_secs(60),
            fail_after: 3,
            recover_after: 2,
            silence: None,
            ping: None,
            lasts: None,
        }
    }

    /// What each round asks.
    pub fn health(&self) -> health::Args {
        health::Args {
            targets: self.targets.clone(),
            selector: self.selector.clone(),
            path: self.path.clone(),
            timeout: Duration::try_from(self.timeout).unwrap_or_default(),
            ..health::Args::default()
        }
    }
}

fn length(text: &str) -> Result<SignedDuration, String> {
    let least = SignedDuration::from_millis(100);
    units::parse_duration(text).filter(|d| *d >= least).ok_or_else(|| "a duration of 100ms or more, as in 30s or 2h".into())
}
