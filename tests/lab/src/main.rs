//! The lab on the command line.
//!
//!     lab cluster up [FOLDER]     a warm cluster; prints what to put into the shell
//!     lab cluster down [FOLDER]   ends it (the warm lab, with everything in it)
//!     lab cluster build           builds what takes minutes the first time
//!     lab sandbox up|down|traffic|restore   a small real production as local processes: see `lab::sandbox::commands`
//!     lab demo [kubernetes]       the story that `make demo` tells
//!     lab latency-proxy TO MS     a TCP proxy that adds MS of round-trip time before host:port TO; see `lab::latency`
//!     lab bench queue OBSCTL      what `obsctl queue` costs a broker, beside redis-cli and Celery's own command
//!     lab bench health OBSCTL     how long many endpoints take, beside curl, and what a watch over them costs
//!     lab bench check OBSCTL      many checks, a long file of them, and the connections that a run opens
//!     lab bench follow OBSCTL [SECONDS [PODS]]   pods that write 20,000 lines/s, followed by obsctl, stern and kubectl
//!     lab bench stern             builds that peer (minutes)
//!     lab hold                    holds servers for the process at the other end of standard input

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lab::cluster::{build, images};
use lab::{Failure, Result, bench, bench_follow, demo, holder, init, latency, sandbox, warm};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(says) => {
            if !says.is_empty() {
                println!("{says}");
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("lab: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[&str]) -> Result<String> {
    let folder = |rest: &[&str]| rest.first().map_or_else(warm::default_folder, PathBuf::from);
    match words {
        ["cluster", "up", rest @ ..] if rest.len() < 2 => warm::cluster_up(&folder(rest)),
        ["cluster" | "all", "down", rest @ ..] if rest.len() < 2 => warm::down(&folder(rest)).map(|()| String::new()),
        ["cluster", "build"] => {
            let binaries = build::binaries()?;
            let images = images::archive()?;
            Ok(format!("{}\n{}", binaries.display(), images.display()))
        }
        ["sandbox", rest @ ..] => sandbox::commands::command(rest),
        ["demo"] => demo::run(false).map(|()| String::new()),
        ["demo", "kubernetes"] => demo::run(true).map(|()| String::new()),
        ["latency-proxy", to, ms] => latency::command(to, ms),
        ["bench", "queue", obsctl] => bench::queue(obsctl),
        ["bench", "health", obsctl] => bench::health(obsctl),
        ["bench", "check", obsctl] => bench::check(obsctl),
        ["bench", "follow", obsctl, rest @ ..] => bench_follow::follow(obsctl, rest),
        ["bench", "stern"] => bench_follow::build_stern(),
        ["hold"] => holder::hold(None).map(|()| String::new()),
        ["hold", "--state", state] => holder::hold(Some(Path::new(state))).map(|()| String::new()),
        ["init", dir] => init::main(Path::new(dir)).map(|()| String::new()),
        _ => Err(Failure::new(
            "usage: lab cluster up|down|build [FOLDER], lab sandbox up|down|traffic|restore, lab demo [kubernetes], lab latency-proxy TO MS, lab bench queue|health|check|follow OBSCTL, lab bench stern, lab hold",
        )),
    }
}
