//! Parse → runtime → command → exit status; nothing else.
#![expect(clippy::disallowed_methods, reason = "the grace after a stop; -v speaks on stderr while the answer is made")]

use clap::{CommandFactory, Parser};
use obsctl::{
    answer::Hint,
    cli::{Cli, Command},
    commands::{self, setup},
    config::Vars,
    connect,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    kubernetes::access,
    report::{Line, Out},
    safe,
    session::Stop,
};
use std::{process::ExitCode, time::Duration};

fn main() -> ExitCode {
    // Two providers are compiled in somewhere below; without a chosen one the first TLS connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { ExitStatus::Usage } else { ExitStatus::Good }.code());
        }
    };
    let vars = Vars::capture();
    let mut out = setup::out(&cli.global, &vars);
    if cli.global.verbose {
        let filter = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).without_time().finish();
        let _ = tracing::subscriber::set_global_default(filter);
    }
    let stop = Stop::default();
    let status = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let status = runtime.block_on(async {
                let status = whole(cli, vars, &stop, &mut out).await;
                connect::postgres::farewell().await;
                status
            });
            // A read of stdin that never ends must not hold the process.
            runtime.shutdown_background();
            status
        }
        Err(_) => Err(Error::new(Kind::Bug, "starting the runtime")),
    };
    let status = status.unwrap_or_else(|error| {
        if error.kind() != Kind::Closed {
            out.error(&error);
            let refused: Vec<_> =
                error.hints().iter().filter_map(|h| if let Hint::Grant(p) = h { Some(p.clone()) } else { None }).collect();
            if !refused.is_empty() {
                access::role(&refused).into_iter().for_each(|line| out.note(&Line::plain(safe!("    {}", line))));
            }
        }
        match stop.reason() {
            Some(why) if error.kind() == Kind::Cancelled => ExitStatus::of(&Ok(why), false),
            _ => ExitStatus::of(&Err(error), false),
        }
    });
    ExitCode::from(status.code())
}

/// The command, until it ends, or until the grace after a stop is over.
async fn whole(cli: Cli, vars: Vars, stop: &Stop, out: &mut Out) -> Result<ExitStatus> {
    // Before anything else begins: from here on, Ctrl-C ends the command in order.
    let ends = stopped(stop);
    if let Some(deadline) = cli.global.deadline.and_then(|d| Duration::try_from(d).ok()) {
        stop.within(deadline);
    }
    let command = async {
        let Some(command) = cli.command else { return commands::start::run(&cli.global, vars, out) };
        match command {
            // Without a session: a configuration that is wrong makes none, and is what is asked about.
            Command::Config(args) => commands::config::run(&args, &cli.global, vars, out),
            Command::Version(args) => commands::start::version(&args, &cli.global, out),
            Command::Explain(args) => commands::explain::run(*args, &cli.global, vars, stop.clone(), out).await,
            Command::Db(args) => commands::db::run(args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Queue(args) => commands::queue::run(args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Health(args) => commands::health::run(*args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Watch(args) => commands::watch::run(*args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Notify(args) => commands::notify::run(&args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Check(args) => commands::check::run(*args, &cli.global, vars, stop.clone(), out).await,
            Command::Changes(args) => commands::changes::run(&args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Incident(args) => {
                let session = setup::session(&cli.global, vars, stop.clone())?;
                commands::incident::run(&args, &cli.global, &session, out).await
            }
            Command::Doctor(args) => commands::doctor::run(&args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Errors(args) => commands::errors::run(*args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
            Command::Logs(args) => commands::logs::run(*args, &setup::session(&cli.global, vars, stop.clone())?, out).await,
        }
    };
    let watch = async {
        let why = ends.await;
        stop.stop(why);
        tokio::time::sleep(Duration::from_secs(2)).await;
        ExitStatus::of(&Ok(why), false)
    };
    tokio::select! {
        status = command => status,
        status = watch => Ok(status),
    }
}

/// Listens for Ctrl-C and SIGTERM at once; the future waits for one of them, or for the deadline.
fn stopped(stop: &Stop) -> impl Future<Output = Outcome> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => Outcome::Interrupted,
            _ = terminate.recv() => Outcome::Terminated,
            () = stop.over() => Outcome::Deadline,
        }
    }
}
