//! `lab bench queue|health|check OBSCTL`: the promises that `make bench` holds obsctl to. Here, what `obsctl queue` costs a broker, in the broker's
//! own terms, and how long it takes beside redis-cli and Celery's own command. Prints a table and says which promise does not hold; no test
//! depends on the time of a machine.

mod check;
mod health;

pub use check::check;
pub use health::health;

use std::fs;
use std::time::{Duration, Instant};

use crate::celery::{Celery, Pool, Publish, Version, Worker, WorkerOptions};
use crate::failure::{Doing, Failure, Result};
use crate::process::Start;
use crate::proxy::Proxy;
use crate::redis::{RedisOptions, RedisServer};
use crate::run::Run;

const QUEUES: usize = 8;
const PRIORITIES: [u8; 4] = [0, 3, 6, 9];
const MESSAGES: usize = 300_000;
const WORKERS: usize = 20;
/// Each time is the median of so many runs.
const RUNS: usize = 11;
const SAMPLES: usize = 5;

/// Prints the table; a broken promise is a failure at its end.
pub fn queue(obsctl: &str) -> Result<String> {
    Bench::new(obsctl, Run::claim()?)?.measure()
}

/// Whether the size of a list tells that of its messages.
#[derive(Clone, Copy)]
enum Size {
    Known,
    Hidden,
}

struct Bench {
    obsctl: String,
    run: Run,
    broken: Vec<String>,
}

impl Bench {
    fn new(obsctl: &str, run: Run) -> Result<Self> {
        let obsctl = fs::canonicalize(obsctl).doing(|| format!("finding {obsctl}"))?.display().to_string();
        Ok(Self { obsctl, run, broken: Vec::new() })
    }

    fn end(self) -> Result<String> {
        if self.broken.is_empty() { Ok(String::new()) } else { Err(Failure::new(format!("not as promised: {}", self.broken.join("; ")))) }
    }

    fn measure(mut self) -> Result<String> {
        println!("queue depth: {QUEUES} queues × {} priorities, {MESSAGES} messages", PRIORITIES.len());
        let redis = RedisServer::start(RedisOptions::default())?;
        let app = Celery::new(redis.url(), Version::V5_6)?;
        fill(&app, &redis)?;
        self.depth(&app, &redis)?;
        println!("the same, and a queue of messages of 20 MB");
        let big = "x".repeat(15_000_000);
        let big = Publish::quick().args(serde_json::json!([big]));
        app.try_publish(&[big.clone().queue("big").times(3)])?;
        self.sample(&redis, Size::Known)?;
        println!("the same, and one message of 20 MB next to run among small ones, which no size of the list tells");
        app.try_publish(&[big.queue("queue-0")])?;
        // To the end that is consumed, as a restored message is.
        redis.try_cli(&["LMOVE", "queue-0", "queue-0", "LEFT", "RIGHT"])?;
        self.sample(&redis, Size::Hidden)?;
        self.workers()?;
        self.end()
    }

    fn depth(&mut self, app: &Celery, redis: &RedisServer) -> Result<()> {
        self.sample(redis, Size::Known)?;
        let config = self.config(redis.port())?;
        let ours = median(|| self.ask(&config, &["queue", "depth", "--once"]))?;
        let lengths: Vec<String> = lists().map(|key| format!("LLEN \"{}\"", key.escape_default())).collect();
        let lengths = lengths.join("\n").replace("\\u{6}\\u{16}", "\\x06\\x16") + "\n";
        let beside = median(|| redis.command().input(lengths.clone()).output().map(drop))?;
        let _worker = idle_worker(app, "inspected")?;
        let celery = median_of(3, || app.command()?.args(["inspect", "active_queues", "--timeout", "1"]).output().map(drop))?;
        note("  obsctl queue depth --once", ours);
        note("  beside it: redis-cli, the lengths alone (32 times LLEN)", beside);
        note("  beside it: celery inspect active_queues (no lengths at all)", celery);
        let times = celery.as_micros() / ours.as_micros().max(1);
        self.hold("  so many times faster than Celery's own", times, times >= 20, "at least 20");
        Ok(())
    }

    /// One sample in the broker's terms: the median of the server's time, the most of the rest.
    fn sample(&mut self, redis: &RedisServer, size: Size) -> Result<()> {
        let proxy = Proxy::before(redis.address())?;
        let config = self.config(proxy.port())?;
        let (mut times, mut trips, mut bytes) = (Vec::new(), 0, 0);
        for _ in 0..SAMPLES {
            let counts = || (proxy.counts().connections(), proxy.counts().questions(), proxy.counts().bytes());
            let before = counts();
            redis.reset_stats();
            self.ask(&config, &["queue", "depth", "--once"])?;
            let mut stats = redis.commandstats();
            // What the lab itself has asked.
            stats.retain(|name, _| !["config|resetstat", "auth", "hello"].contains(&name.as_str()));
            let each: Vec<String> = stats.iter().map(|(name, stat)| format!("{name} {} ({} µs)", stat.calls, stat.usec)).collect();
            times.push((stats.values().map(|stat| stat.usec).sum::<u64>(), each.join(", ")));
            let after = counts();
            // The greeting of each connection is none of the sample's.
            trips = trips.max((after.1 - before.1).saturating_sub(after.0 - before.0));
            bytes = bytes.max(after.2 - before.2);
        }
        times.sort_unstable();
        let (time, commands) = times.get(SAMPLES / 2).cloned().unwrap_or_default();
        match size {
            Size::Known => {
                self.hold("  a sample: round trips", trips.into(), trips <= 3, "at most 3");
                self.hold("  a sample: the server's time, µs", time.into(), time <= 1000, "at most 1000");
                self.hold("  a sample: bytes read", bytes.into(), bytes <= 64 << 10, "at most 65536");
            }
            Size::Hidden => println!("  a sample: {trips} round trips, {time} µs of the server, {bytes} bytes sent before obsctl hangs up"),
        }
        println!("    {commands}");
        Ok(())
    }

    fn workers(&mut self) -> Result<()> {
        println!("queue workers --ask: {WORKERS} real workers");
        let redis = RedisServer::start(RedisOptions::default())?;
        let app = Celery::new(redis.url(), Version::V5_6)?;
        let mut workers = Vec::new();
        for number in 1..=WORKERS {
            workers.push(idle_worker(&app, &format!("w{number}"))?);
        }
        for worker in &workers {
            worker.await_ready()?;
        }
        let config = self.config(redis.port())?;
        let ours = median(|| self.ask(&config, &["queue", "workers", "--ask"]))?;
        let celery = median_of(3, || app.command()?.args(["inspect", "ping", "--timeout", "1"]).output().map(drop))?;
        self.hold("  obsctl queue workers --ask, ms", ours.as_millis(), ours <= Duration::from_millis(150), "at most 150");
        note("  beside it: celery inspect ping", celery);
        Ok(())
    }

    /// Whatever it thinks of the queues: full ones, and nobody who consumes them.
    fn ask(&self, config: &str, words: &[&str]) -> Result<()> {
        let state = self.run.folder("state")?;
        let start = Start::new("obsctl", &self.obsctl).clear_env().env("HOME", &state).env("XDG_STATE_HOME", &state);
        let start = start.args(["--config", config, "-o", "json"]).args(words.iter().copied());
        let (status, output) = start.ended()?;
        if output.contains("\"facts\"") {
            return Ok(());
        }
        // Once more, for what it says on its standard error.
        let why = start.output().err().map_or(output, |failure| failure.to_string());
        Err(Failure::new(format!("obsctl {} ended with {status}: {why}", words.join(" "))))
    }

    fn config(&self, port: u16) -> Result<String> {
        let text = format!(
            "default_environment: bench\nenvironments:\n  bench:\n    broker: {{url: \"redis://127.0.0.1:{port}/0\", via: direct}}\n"
        );
        Ok(self.run.write(&format!("obsctl-{port}.yaml"), text)?.display().to_string())
    }

    fn hold(&mut self, name: &str, figure: u128, held: bool, limit: &str) {
        println!("{name:<62} {figure:>9}  ({limit}): {}", if held { "ok" } else { "FAILED" });
        if !held {
            self.broken.push(format!("{}: {figure}, {limit}", name.trim()));
        }
    }
}

fn fill(app: &Celery, redis: &RedisServer) -> Result<()> {
    let each = MESSAGES / (QUEUES * PRIORITIES.len());
    for queue in 0..QUEUES {
        for priority in PRIORITIES {
            let what = Publish::quick().queue(&format!("queue-{queue}")).priority(priority).header("request_id", "bench");
            app.fill(redis, &what, each)?;
        }
    }
    Ok(())
}

/// One that consumes nothing of what is measured.
fn idle_worker(app: &Celery, name: &str) -> Result<Worker> {
    let options = WorkerOptions { name: name.to_owned(), pool: Pool::Solo, queues: vec!["idle".to_owned()], ..WorkerOptions::default() };
    let worker = app.start_worker(options)?;
    if name == "inspected" {
        worker.await_ready()?;
    }
    Ok(worker)
}

/// The lists of all queues.
fn lists() -> impl Iterator<Item = String> {
    (0..QUEUES).flat_map(|queue| {
        PRIORITIES.map(|step| if step == 0 { format!("queue-{queue}") } else { format!("queue-{queue}\u{6}\u{16}{step}") })
    })
}

fn note(name: &str, time: Duration) {
    println!("{name:<62} {:>9.1}  ms", time.as_secs_f64() * 1000.0);
}

fn median(what: impl FnMut() -> Result<()>) -> Result<Duration> {
    median_of(RUNS, what)
}

fn median_of(runs: usize, mut what: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let begun = Instant::now();
        what()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times.get(runs / 2).copied().ok_or_else(|| Failure::new("nothing was measured"))
}
