//! `lab bench health OBSCTL`: many endpoints asked at once, beside a loop of curl, and what a watch over many of them costs a machine: its
//! share of a core, its memory, and whether that stays the same. For `make bench`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Bench, median_of, note};
use crate::failure::{Doing, Failure, Result};
use crate::need::{self, need};
use crate::process::{self, Start};
use crate::run::Run;
use crate::wait;

const ENDPOINTS: usize = 100;
/// How late the planted one answers.
const LATE: Duration = Duration::from_secs(2);
const WATCHED: usize = 200;
/// How long the watch at its usual pace is measured.
const MEASURED: Duration = Duration::from_secs(60);
const PROBES: usize = 100_000;
const MEBIBYTE: u128 = 1 << 20;

/// Prints the table; a broken promise is a failure at its end.
pub fn health(obsctl: &str) -> Result<String> {
    need::all("the bench of health", &[need("/usr/bin/curl", "curl")])?;
    let mut bench = Bench::new(obsctl, Run::claim()?)?;
    bench.endpoints()?;
    bench.watch()?;
    bench.long_watch()?;
    bench.end()
}

/// A server that is well, and on `/late` late; no more of a load than it must be.
pub(super) struct Well {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Well {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").doing(|| "opening a port")?;
        let port = listener.local_addr().doing(|| "asking for the port")?.port();
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        let listener = Arc::new(listener);
        for _ in 0..8 {
            let (listener, count) = (Arc::clone(&listener), Arc::clone(&count));
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    answer(stream);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(Self { port, asked })
    }

    /// One that is late.
    pub fn late(&self) -> String {
        format!("http://127.0.0.1:{}/late", self.port)
    }

    pub fn urls(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("http://127.0.0.1:{}/{n}", self.port)).collect()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: std::net::TcpStream) {
    let mut head = [0; 1024];
    let Ok(read) = stream.read(&mut head) else { return };
    let say = |mut stream: std::net::TcpStream| {
        let body = r#"{"status":"healthy","db":"ok","redis":"ok","version":"0.57.0"}"#;
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    };
    if head.get(..read).is_some_and(|head| head.starts_with(b"GET /late ")) {
        // A thread of its own, so that nobody waits behind it.
        thread::spawn(move || {
            thread::sleep(LATE);
            say(stream);
        });
    } else {
        say(stream);
    }
}

/// A running watch; dropping it ends it.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the kernel knows of a process.
struct Usage {
    cpu: Duration,
    resident: u128,
}

impl Watching {
    fn usage(&self) -> Result<Usage> {
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", self.0.id());
            fs::read_to_string(&path).doing(|| format!("reading {path}"))
        };
        let stat = read("stat")?;
        // Behind the name, which may hold anything: the 12th and the 13th field are ticks of user and system time.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let hertz: u64 = process::run(&["getconf", "CLK_TCK"])?.trim().parse().unwrap_or(100);
        let status = read("status")?;
        let resident =
            status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(|l| l.split_whitespace().next()?.parse::<u128>().ok());
        Ok(Usage { cpu: Duration::from_millis((ticks(11) + ticks(12)) * 1000 / hertz), resident: resident.unwrap_or(0) * 1024 })
    }
}

impl Bench {
    fn endpoints(&mut self) -> Result<()> {
        println!("health: {ENDPOINTS} endpoints, one of which answers after {} s", LATE.as_secs());
        let server = Well::start()?;
        let mut urls = server.urls(ENDPOINTS - 1);
        urls.push(format!("http://127.0.0.1:{}/late", server.port));
        let words: Vec<&str> = ["health"].into_iter().chain(urls.iter().map(String::as_str)).collect();
        let config = self.nothing()?;
        let ours = median_of(5, || self.ask(&config, &words))?;
        let curl = median_of(3, || {
            urls.iter().try_for_each(|url| Start::new("curl", "/usr/bin/curl").args(["-sfo", "/dev/null", url]).output().map(drop))
        })?;
        self.hold("  obsctl health, ms", ours.as_millis(), ours <= Duration::from_millis(2_500), "at most 2500");
        note("  beside it: curl in a loop, one after the other", curl);
        Ok(())
    }

    fn watch(&mut self) -> Result<()> {
        println!("watch: {WATCHED} targets every 10 s, for {} s", MEASURED.as_secs());
        let server = Well::start()?;
        let watching = self.watching(&server, "10s")?;
        // The first round loads what the others have.
        wait::poll(Duration::from_secs(60), || if server.asked() >= WATCHED { Ok(()) } else { Err("the first round is not over".into()) })?;
        thread::sleep(Duration::from_secs(2));
        let (before, begun) = (watching.usage()?, Instant::now());
        thread::sleep(MEASURED);
        let after = watching.usage()?;
        let share = (after.cpu - before.cpu).as_micros() * 1000 / begun.elapsed().as_micros().max(1);
        self.hold("  thousandths of a core", share, share <= 50, "at most 50");
        self.hold("  resident, MiB", after.resident.div_ceil(MEBIBYTE), after.resident <= 48 * MEBIBYTE, "at most 48");
        println!("    {} probes in that time", server.asked() - WATCHED);
        Ok(())
    }

    fn long_watch(&mut self) -> Result<()> {
        println!("watch: {PROBES} probes of {WATCHED} targets, as fast as it goes");
        let server = Well::start()?;
        let begun = Instant::now();
        let watching = self.watching(&server, "100ms")?;
        let until = |count: usize| {
            wait::poll(Duration::from_secs(900), || {
                if server.asked() >= count { Ok(()) } else { Err(format!("{} probes so far", server.asked())) }
            })
        };
        // Its history is full after 90 rounds.
        until(PROBES / 4)?;
        let early = watching.usage()?;
        until(PROBES)?;
        let late = watching.usage()?;
        let more = late.resident.saturating_sub(early.resident);
        self.hold("  resident after all of them, MiB", late.resident.div_ceil(MEBIBYTE), late.resident <= 48 * MEBIBYTE, "at most 48");
        self.hold("  more than after a quarter of them, KiB", more / 1024, more <= 2 * MEBIBYTE, "at most 2048");
        let micros = late.cpu.as_micros() / server.asked().max(1) as u128;
        println!("    {micros} µs of a core for each probe, {:.0} s in all", begun.elapsed().as_secs_f64());
        Ok(())
    }

    fn watching(&self, server: &Well, interval: &str) -> Result<Watching> {
        let state = self.run.folder(&format!("watch-{}", server.port))?;
        let start = Start::new("obsctl", &self.obsctl).clear_env().env("HOME", &state).env("XDG_STATE_HOME", &state);
        let start = start.args(["--config", &self.nothing()?, "watch", "--interval", interval]).args(server.urls(WATCHED));
        start.child().map(Watching).map_err(|failure| Failure::new(format!("starting a watch: {failure}")))
    }

    /// A configuration in which nothing is.
    fn nothing(&self) -> Result<String> {
        let text = "default_environment: bench\nenvironments:\n  bench:\n    apps: {site: {url: 'http://127.0.0.1:9/'}}\n";
        Ok(self.run.write("obsctl-nothing.yaml", text)?.display().to_string())
    }
}
