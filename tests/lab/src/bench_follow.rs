//! `lab bench follow OBSCTL [SECONDS [PODS]]`: many pods that write 20,000 numbered lines per second together, followed by obsctl, stern and
//! kubectl one after the other. What is lost and what comes twice is counted, and what it costs the client. Prints a table; a promise that
//! does not hold is a failure at its end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::cluster::build;
use crate::failure::{Doing, Failure, Result};
use crate::hand::{self, Lab};
use crate::process::Start;
use crate::{Namespace, wait};

const TOGETHER: u32 = 20_000;
const LENGTH: u32 = 120;
/// Lines are written for so much longer than is measured: the pods do not start at one moment.
const BEFORE: u32 = 40;

/// Prints the table.
pub fn follow(obsctl: &str, rest: &[&str]) -> Result<String> {
    let number = |index: usize, default: u32| rest.get(index).map_or(Ok(default), |word| word.parse().doing(|| format!("reading {word}")));
    let (seconds, pods) = (number(0, 120)?, number(1, 50)?);
    let obsctl = std::fs::canonicalize(obsctl).doing(|| format!("finding {obsctl}"))?;
    let lab = hand::get();
    println!("following {pods} pods that write {TOGETHER} lines/s together ({LENGTH} bytes each), {seconds} s after all have begun");
    let ours = Client { name: "obsctl logs -f", program: obsctl, peer: false };
    let mut broken = Vec::new();
    let bench = Bench { lab, seconds, pods };
    for client in
        [Some(ours), stern(), Some(Client { name: "kubectl logs -f -l", program: lab.cluster().info().kubectl.clone(), peer: true })]
            .into_iter()
            .flatten()
    {
        let seen = bench.measure(&client)?;
        seen.print(&client);
        if !client.peer {
            broken.extend(seen.broken());
        }
    }
    if broken.is_empty() { Ok(String::new()) } else { Err(Failure::new(format!("not as promised: {}", broken.join("; ")))) }
}

struct Client {
    name: &'static str,
    program: PathBuf,
    peer: bool,
}

/// The peer that `OBSCTL_STERN` names, or that was built before; it takes minutes to build, so nobody waits for it here.
fn stern() -> Option<Client> {
    let named = std::env::var_os("OBSCTL_STERN").map(PathBuf::from);
    let program = named.or_else(|| build::cache().ok().map(|cache| cache.join("tools/bin/stern"))).filter(|path| path.exists());
    if program.is_none() {
        println!("  stern: not measured (OBSCTL_STERN names its binary)");
    }
    Some(Client { name: "stern", program: program?, peer: true })
}

struct Bench {
    lab: &'static Lab,
    seconds: u32,
    pods: u32,
}

/// What one client has shown, and what it took.
#[derive(Default)]
struct Seen {
    /// Of each pod: the lines, and how often a number was not the next one.
    pods: BTreeMap<String, OfPod>,
    delays: Vec<u32>,
    cpu: f64,
    window: f64,
    peak: u64,
    expected: u64,
    ended: String,
}

#[derive(Default)]
struct OfPod {
    seen: Vec<u64>,
    twice: u64,
}

impl Bench {
    fn measure(&self, client: &Client) -> Result<Seen> {
        let ns = self.lab.cluster().namespace("bench");
        let rate = TOGETHER / self.pods;
        let count = rate * (self.seconds + BEFORE);
        // kubectl follows only what is there when it starts: its pods begin first, and it is told to show all.
        let begin = |replicas: u32| ns.kubectl(&["scale", "deploy/writers", &format!("--replicas={replicas}")]).map(drop);
        ns.apply(&deployment(rate, count));
        if client.name.starts_with("kubectl") {
            begin(self.pods)?;
            self.all_run(&ns)?;
        }
        let mut child = self.start(client, &ns)?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::new("no output"))?;
        let reader = std::thread::spawn(move || read(stdout));
        if !client.name.starts_with("kubectl") {
            begin(self.pods)?;
            self.all_run(&ns)?;
        }
        let (begun, before) = (Instant::now(), cpu(child.id()));
        std::thread::sleep(Duration::from_secs(u64::from(self.seconds)));
        let (window, spent) = (begun.elapsed().as_secs_f64(), cpu(child.id()) - before);
        let alive = matches!(child.try_wait(), Ok(None));
        let peak = peak(child.id());
        // To the end of what is written.
        std::thread::sleep(Duration::from_secs(u64::from(BEFORE) + 5));
        crate::process::run(&["kill", "-INT", &child.id().to_string()])?;
        let _ = child.wait();
        let mut seen = reader.join().map_err(|_| Failure::new("the reader has panicked"))?;
        seen.cpu = spent;
        seen.window = window;
        seen.peak = peak;
        seen.expected = u64::from(count);
        seen.ended = if alive { String::new() } else { "ENDED BY ITSELF".to_owned() };
        Ok(seen)
    }

    fn all_run(&self, ns: &Namespace) -> Result<()> {
        wait::poll(Duration::from_secs(300), || {
            let ready = ns.kubectl(&["get", "deploy", "writers", "-ojsonpath={.status.readyReplicas}"]).map_err(|e| e.to_string())?;
            if ready == self.pods.to_string() { Ok(()) } else { Err(format!("{ready} of {} pods run", self.pods)) }
        })
    }

    fn start(&self, client: &Client, ns: &Namespace) -> Result<Child> {
        let pods = self.pods.to_string();
        let words: Vec<&str> = match client.name {
            "stern" => {
                vec!["--namespace", ns.name(), "writers", "--tail", "-1", "--timestamps", "--color", "never", "--max-log-requests", &pods]
            }
            name if name.starts_with("kubectl") => {
                vec![
                    "--namespace",
                    ns.name(),
                    "logs",
                    "-f",
                    "-l",
                    "app=writers",
                    "--tail=-1",
                    "--timestamps",
                    "--prefix",
                    "--max-log-requests",
                    &pods,
                ]
            }
            _ => vec!["logs", "deploy/writers", "-f", "--tail", "-1", "--timestamps", "--namespace", ns.name()],
        };
        let mut command = std::process::Command::new(&client.program);
        command.args(words).env("KUBECONFIG", ns.cluster().kubeconfig()).stdin(Stdio::null()).stdout(Stdio::piped());
        let log = std::fs::File::create(ns.cluster().info().dir.join(format!("bench-{}.log", client.name.replace(' ', "-"))))
            .doing(|| "opening a log")?;
        command.stderr(log).spawn().doing(|| format!("starting {}", client.name))
    }
}

fn deployment(rate: u32, count: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: writers}}\nspec: {{replicas: 0, selector: {{matchLabels: {{app: writers}}}}, \
         template: {{metadata: {{labels: {{app: writers}}}}, spec: {{terminationGracePeriodSeconds: 1, automountServiceAccountToken: false, \
         enableServiceLinks: false, containers: [{{name: main, image: \"lab.test/busybox:1\", imagePullPolicy: Never, \
         command: [writer, \"{rate}\", \"{LENGTH}\", \"{count}\"]}}]}}}}}}\n"
    )
}

/// Takes every line: whose, which number, and how long after the node had it.
fn read(output: impl std::io::Read) -> Seen {
    let mut seen = Seen::default();
    let mut reader = BufReader::with_capacity(1 << 20, output);
    let mut line = Vec::new();
    let mut lines = 0_u64;
    while matches!({ line.clear(); reader.read_until(b'\n', &mut line) }, Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&line);
        let Some((head, rest)) = text.split_once("line <") else { continue };
        let Some(number) = rest.split('>').next().and_then(|n| n.parse().ok()) else { continue };
        let Some(at) = head.find("writers-") else { continue };
        let pod = head[at..].split([' ', '/', ']', ':']).next().unwrap_or_default().to_owned();
        seen.pods.entry(pod).or_default().seen.push(number);
        lines += 1;
        if lines.is_multiple_of(50)
            && let Some(stamp) = head.split_whitespace().find_map(milliseconds)
        {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() % 86_400_000);
            let delay = (now + 86_400_000 - stamp) % 86_400_000;
            seen.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }
    for of in seen.pods.values_mut() {
        of.seen.sort_unstable();
        let all = of.seen.len();
        of.seen.dedup();
        of.twice = (all - of.seen.len()) as u64;
    }
    seen.delays.sort_unstable();
    seen
}

/// The time of day of an RFC 3339 time stamp in UTC.
fn milliseconds(word: &str) -> Option<u128> {
    let (_, time) = word.split_once('T')?;
    let mut parts = time.split([':', '.', 'Z', '+']);
    let mut next = || parts.next()?.parse::<u128>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    let fraction: String = time.split_once('.')?.1.chars().take(3).collect();
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction.parse::<u128>().ok()?)
}

/// User and system time, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory it has had, in kB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

impl Seen {
    fn lost(&self) -> u64 {
        self.pods.values().map(|of| self.expected.saturating_sub(of.seen.len() as u64)).sum()
    }

    fn twice(&self) -> u64 {
        self.pods.values().map(|of| of.twice).sum()
    }

    fn cores(&self) -> f64 {
        self.cpu / self.window
    }

    fn delay(&self, part: usize) -> u32 {
        self.delays.get(self.delays.len().saturating_sub(1) * part / 100).copied().unwrap_or(0)
    }

    fn print(&self, client: &Client) {
        println!(
            "  {:<20} {} pods, {} lines: lost {}, twice {}; {:.2} s of CPU in {:.0} s = {:.2} cores; delay {} ms (median), {} ms (99 of 100); {} MB {}",
            client.name,
            self.pods.len(),
            self.pods.values().map(|of| of.seen.len()).sum::<usize>(),
            self.lost(),
            self.twice(),
            self.cpu,
            self.window,
            self.cores(),
            self.delay(50),
            self.delay(99),
            self.peak / 1024,
            self.ended,
        );
    }

    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.lost() > 0 || self.twice() > 0 {
            broken.push(format!("lost {}, twice {}", self.lost(), self.twice()));
        }
        if self.cores() > 0.5 {
            broken.push(format!("{:.2} cores, not 0.5", self.cores()));
        }
        if self.delay(99) > 1_000 {
            broken.push(format!("a delay of {} ms, not 1000", self.delay(99)));
        }
        broken
    }
}

/// Builds the peer into the tools' folder: `lab bench stern`.
pub fn build_stern() -> Result<String> {
    let folder = build::cache()?.join("tools/stern");
    std::fs::create_dir_all(&folder).doing(|| "making a folder")?;
    std::fs::write(folder.join("go.mod"), "module lab.test/stern\n\ngo 1.24\n\nrequire github.com/stern/stern v1.33.1\n")
        .doing(|| "writing go.mod")?;
    let program = build::cache()?.join("tools/bin/stern");
    Start::new("go build", "go")
        .args(["build", "-mod=mod", "-o"])
        .arg(&program)
        .arg("github.com/stern/stern")
        .env("CGO_ENABLED", "0")
        .folder(&folder)
        .output()?;
    Ok(program.display().to_string())
}
