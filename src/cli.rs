//! The command tree and the flags that every command has. Resolves nothing and runs nothing.

use crate::{commands, report::out::Colour};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// From a request ID to the cause, in one command, with nothing installed in the cluster. Reads only; changes nothing.
#[derive(Debug, Parser)]
#[command(name = "obsctl", version, max_term_width = 100)]
pub struct Cli {
    /// The flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What is asked. None: what to ask first.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Logs of pods, apps and files; everything one request did
    Logs(Box<commands::logs::Args>),
    /// Which errors there are, how often, where, since when; new since which rollout
    Errors(Box<commands::errors::Args>),
    /// Why a statement takes what it takes, and what to try
    Explain(Box<commands::explain::Args>),
    /// Where every Celery task is, and whether that is bad
    Queue(commands::queue::Args),
    /// What a database is busy with: slow statements, sessions, locks
    Db(commands::db::Args),
    /// Is it up, on every pod, for real
    Health(Box<commands::health::Args>),
    /// Ask again and again, remember, and tell somebody when something fails
    Watch(Box<commands::watch::Args>),
    /// Whether those who would be told can be
    Notify(commands::notify::Args),
    /// Is anything wrong? The runbook, as CI and cron can run it
    Check(Box<commands::check::Args>),
    /// What changed lately: rollouts, configuration, restarts, evictions
    Changes(commands::changes::Args),
    /// Everything that a first responder would ask, in one file for the ticket
    Incident(Box<commands::incident::Args>),
    /// Whether obsctl sees what it needs to see, and the smallest rights for it
    Doctor(commands::doctor::Args),
    /// What the configuration says, whether it is good, and the leave to act
    Config(commands::config::Args),
    /// The version
    Version(commands::start::VersionArgs),
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Human,
    /// One versioned JSON object
    Json,
    /// One JSON object per line
    Ndjson,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Which verdict, beside a failure, makes the exit status of a command bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A warning: 4
    Warn,
}

/// Flags of every command; they mean what they mean in kubectl.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global")]
pub struct Global {
    /// The environment of the configuration
    #[arg(short = 'e', long = "env", global = true, value_name = "NAME", add = clap_complete::ArgValueCandidates::new(commands::complete::environments))]
    pub env: Option<String>,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The kubeconfig's context
    #[arg(long, global = true, value_name = "NAME", add = clap_complete::ArgValueCandidates::new(commands::complete::contexts))]
    pub context: Option<String>,
    /// The namespace
    #[arg(short = 'n', long, global = true, value_name = "NAME", add = clap_complete::ArgValueCandidates::new(commands::complete::namespaces))]
    pub namespace: Option<String>,
    /// The kubeconfig file (else KUBECONFIG, else ~/.kube/config)
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The form of the answer
    #[arg(short = 'o', long, global = true, value_name = "FORM", value_enum, default_value_t, hide_default_value = true)]
    pub output: Output,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, hide_default_value = true)]
    pub color: When,
    /// Times in the zone of this machine instead of UTC
    #[arg(long, global = true)]
    pub local: bool,
    /// Give up after this long, with what is known by then (exit 124)
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub deadline: Option<jiff::SignedDuration>,
    /// Show what is hidden by default: passwords, tokens, addresses. Mind who sees your screen
    #[arg(long, global = true)]
    pub show_sensitive: bool,
    /// Say more: what obsctl does, on stderr, and every line that is folded
    #[arg(short = 'v', long, global = true)]
    pub verbose: bool,
    /// Nothing on stderr but errors
    #[arg(short = 'q', long, global = true)]
    pub quiet: bool,
}

impl Global {
    /// What the flag says about colour.
    pub fn colour(&self) -> Colour {
        match self.color {
            When::Auto => Colour::Auto,
            When::Always => Colour::Always,
            When::Never => Colour::Never,
        }
    }
}

fn duration(text: &str) -> Result<jiff::SignedDuration, String> {
    crate::text::units::parse_duration(text).filter(|d| d.is_positive()).ok_or_else(|| "a duration, as in 30s or 5m".into())
}
