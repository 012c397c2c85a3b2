//! `lab demo [kubernetes]`: the main job of obsctl as a story. Starts the small production (or finds it up), plants a fault, asks what an
//! operator would ask, shows the real command with its real output, and fails if the answer is not the planted one.

use crate::failure::{Doing, Failure, Result};
use crate::process::Start;
use crate::sandbox::{Planted, commands, traffic::Target};
use crate::warm;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Tells it of the production that stays up, which is started where there is none.
pub fn run(pods: bool) -> Result<()> {
    let folder = warm::default_folder().join(if pods { "sandbox-pods" } else { "sandbox" });
    let obsctl = obsctl()?;
    let began = Instant::now();
    let where_: &[&str] = if pods { &["--pods"] } else { &[] };
    if folder.join("sandbox.json").exists() {
        say(&format!("The production is up already ({}).", folder.display()));
    } else {
        say("Starting a small production: Django, gunicorn, Celery workers on two queues, beat, PostgreSQL, Redis …");
        commands::command(&[&["up"], where_].concat())?;
        say(&format!("… up after {:.1} s.", began.elapsed().as_secs_f64()));
    }
    let story = Story::new(obsctl, folder, pods);
    story.tell()?;
    let down = if pods { "cargo run -q -p lab -- sandbox down --pods; make cluster-down" } else { "make demo-down" };
    say(&format!("The production stays up to play with:\n    {} logs --tail 20\nIt ends with: {down}", story.shown()));
    Ok(())
}

/// Tells it of a sandbox that somebody else has started, and ends. `folder` is for what the story has to remember.
pub fn tell(obsctl: &Path, folder: &Path, target: &Target, config: &Path) -> Result<()> {
    commands::adopt(folder, target, config)?;
    Story::new(obsctl.to_owned(), folder.to_owned(), matches!(target, Target::Pods { .. })).tell()
}

struct Story {
    obsctl: PathBuf,
    config: PathBuf,
    folder: PathBuf,
    kubeconfig: Option<PathBuf>,
    pods: bool,
}

impl Story {
    fn new(obsctl: PathBuf, folder: PathBuf, pods: bool) -> Self {
        Self { obsctl, kubeconfig: commands::kubeconfig(&folder), config: folder.join("obsctl.yaml"), folder, pods }
    }

    fn tell(&self) -> Result<()> {
        self.failing_task()?;
        self.slow_queue()?;
        self.lost_worker()?;
        self.slow_report()?;
        if self.pods {
            self.degraded_pod()?;
            self.stuck_rollout()
        } else {
            self.bad_certificate()
        }
    }

    fn failing_task(&self) -> Result<()> {
        let planted = self.plant("failing-task", &[])?;
        let id = id(&planted)?;
        chapter(&format!("A customer reports: \"I paid, but no receipt came.\" The answer carried X-Request-ID: {id}"));
        let facts = self.ask(id)?;
        let attempt = &facts["attempts"][0];
        let task = task(attempt, "mail.send_receipt")?;
        expect(attempt["outcome"] == "failed", "the request's outcome is failed", attempt)?;
        expect(attempt["status"] == 201, "the web answered 201 all the same", attempt)?;
        expect(
            task["outcome"] == "failed" && task["tries"].as_array().is_some_and(|t| t.len() == 4),
            "its task failed after 4 tries",
            task,
        )?;
        expect(attempt.to_string().contains("SMTPServerDisconnected"), "the mail relay hung up", attempt)?;
        say(
            "What it tells: the web answered well; the receipt's task failed four times, because the mail relay hangs up on that recipient. Not the shop's code, not the queue.",
        );
        Ok(())
    }

    fn slow_queue(&self) -> Result<()> {
        let planted = self.plant("slow-queue", &["--slow-seconds", "8"])?;
        let id = id(&planted)?;
        chapter(&format!("Another one: \"My receipt came much too late.\" X-Request-ID: {id}"));
        let facts = self.ask(id)?;
        let attempt = &facts["attempts"][0];
        let task = task(attempt, "mail.send_receipt")?;
        expect(attempt["outcome"] == "ok", "nothing failed", attempt)?;
        let waited = task["waited_ms"].as_i64().unwrap_or(0);
        expect(waited >= 4_000, "its receipt waited in the queue", task)?;
        expect(waited > 2 * task["ran_ms"].as_i64().unwrap_or(i64::MAX / 2), "the waiting outweighs the running", task)?;
        say("What it tells: the task itself was quick; nearly all the time it waited behind others in queue mail.");
        Ok(())
    }

    fn lost_worker(&self) -> Result<()> {
        let traffic = commands::driver(&self.folder)?;
        let harmed = traffic.harm("lost-worker", &["--slow-seconds", "900"])?;
        chapter("Support: \"Since a minute ago no customer gets a receipt.\" No request ID, and no error in any log. Are tasks stuck?");
        let answer = self.answer(&["queue", "depth"])?;
        let facts = &answer["facts"];
        expect(facts["delivered"]["count"].as_u64() >= Some(1), "a task is in a worker's hands", facts)?;
        if !self.pods {
            // In the cluster a new pod has come meanwhile, and has taken what waited.
            let queues = facts["queues"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mail = queues.iter().find(|queue| queue["name"] == "mail");
            expect(mail.is_some_and(|mail| mail["waiting"] == 2), "two receipts wait in mail", facts)?;
            expect(facts["workers"].to_string().contains("celery-mail-1@"), "the mail worker is named", facts)?;
        }
        let receipt = *harmed.tasks("prefetched").first().ok_or_else(|| Failure::new("no receipt was prefetched"))?;
        chapter(&format!("Where is the receipt of the first of them, task {receipt}?"));
        let answer = self.answer(&["queue", "find", receipt])?;
        expect(answer["exit_status"] == 0, "the task was found", &answer)?;
        let places = &answer["facts"]["tasks"][0]["places"];
        let delivered = places.as_array().is_some_and(|places| places.iter().any(|place| place["at"] == "delivered"));
        expect(delivered, "it was delivered and never acknowledged", &answer)?;
        chapter("Delivered, but to whom? The workers themselves know who of them lives.");
        let answer = self.answer(&["queue", "workers", "--ask", "--tasks"])?;
        let found = answer["findings"].to_string();
        if self.pods {
            // Nobody is down: the pod that came in place of the dead one works.
            expect(answer["exit_status"] == 0, "every worker that is there lives", &answer)?;
            expect(found.contains("held by a dead worker"), "the receipt is in nobody's hands", &answer)?;
            expect(found.contains(receipt), "it is that receipt", &answer)?;
        } else {
            expect(answer["exit_status"] == 1, "a dead worker is bad news", &answer)?;
            expect(found.contains("celery-mail"), "the dead worker is named", &answer)?;
        }
        say(
            "What it tells: the mail worker died with the receipt in its hands. Redis gives it to another worker when the visibility timeout has passed; what it was running is lost.",
        );
        harmed.restore()?;
        say("The worker is started again, and what it held is given back.");
        Ok(())
    }

    fn slow_report(&self) -> Result<()> {
        self.plant("slow-report", &[])?;
        chapter("Sales: \"The product pages take for ever.\" The queues are well. Is it the database, and which statement?");
        let slow = self.answer(&["db", "-d", "oncall", "slow", "--limit", "3"])?;
        expect(slow["facts"]["statements"].to_string().contains("products.views.sales"), "the view of the statement is named", &slow)?;
        chapter("Why does that one take its time? It is found on the primary, and run where nobody waits for it: on the replica.");
        let answer = self.answer(&["explain", "-d", "oncall", "--on", "replica", "--slowest", "--analyze"])?;
        expect(answer["facts"]["origin"]["server"]["server"]["replica"] == true, "it ran on the replica", &answer)?;
        let first = &answer["findings"][0];
        expect(first["code"] == "reads-much-keeps-little", "it reads much and keeps little", first)?;
        let advice = &answer["facts"]["advice"][0];
        expect(advice.to_string().contains("shop_orderitem (product_id)"), "the missing index is named", advice)?;
        expect(advice["proof"].to_string().contains("hypopg"), "hypopg has proven it", advice)?;
        say(
            "What it tells: every call reads all of shop_orderitem, since no index leads with product_id. The planner would take the proposed one at once; nothing was built, and nothing ran on the primary.",
        );
        Ok(())
    }

    fn bad_certificate(&self) -> Result<()> {
        let traffic = commands::driver(&self.folder)?;
        let harmed = traffic.harm("bad-certificate", &[])?;
        let url = format!("https://127.0.0.1:{}/api/health/", traffic.port("tls-front-1")?);
        chapter("A partner: \"Your API is down since this morning.\" Here every page works. Is it up, for those who come from outside?");
        let answer = self.answer(&["health", &url])?;
        expect(answer["exit_status"] == 1, "it is bad news", &answer)?;
        let certificate = &answer["facts"]["targets"][0]["exchange"]["certificate"];
        expect(certificate["refused"].to_string().contains("expired 3d"), "the certificate has expired", certificate)?;
        say(
            "What it tells: the shop is well; the front before it shows a certificate that expired three days ago, and whoever verifies it hangs up.",
        );
        let inside = self.outside(&url)?;
        self.runbook("health", "expired")?;
        harmed.restore()?;
        std::fs::write(&self.config, inside).doing(|| format!("writing {}", self.config.display()))?;
        self.well_again("health")
    }

    /// Writes into the sandbox's configuration where the shop is reached from outside, as its operators would; what stood there before.
    fn outside(&self, url: &str) -> Result<String> {
        let text = std::fs::read_to_string(&self.config).doing(|| format!("reading {}", self.config.display()))?;
        let base = url.trim_end_matches("/api/health/");
        let lines = text.lines().map(|line| match line.split_once(", url: ").zip(line.split_once(", health: ")) {
            Some(((before, _), (_, after))) => format!("{before}, url: '{base}', health: {after}\n"),
            None => format!("{line}\n"),
        });
        std::fs::write(&self.config, lines.collect::<String>()).doing(|| format!("writing {}", self.config.display()))?;
        Ok(text)
    }

    /// The built-in runbook while a harm is there: what a pipeline would have seen.
    fn runbook(&self, check: &str, says: &str) -> Result<()> {
        chapter(
            "Could a machine have asked all that, before the customers did? `obsctl check` does, in CI or from cron, with nothing configured.",
        );
        let answer = self.answer(&["check"])?;
        expect(answer["exit_status"] == 1, "it is bad news", &answer)?;
        let checks = answer["facts"]["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = checks.iter().any(|c| c["name"] == check && c["status"] == "failed" && c["says"].to_string().contains(says));
        expect(named, "the check that is about it has failed, and says why", &answer["facts"])
    }

    fn well_again(&self, check: &str) -> Result<()> {
        let answer = self.answer(&["check", "--only", check])?;
        expect(answer["exit_status"] == 0, "what was wrong is well again", &answer)?;
        say("What it tells: the same sentence as above, without anybody having to ask; and when it is mended, exit status 0.");
        Ok(())
    }

    fn degraded_pod(&self) -> Result<()> {
        let traffic = commands::driver(&self.folder)?;
        let harmed = traffic.harm("degraded-pod", &[])?;
        chapter("Monitoring says that the shop is up, some customers say that it is not. Is it up on every pod?");
        let answer = self.answer(&["health", "backend", "--deep"])?;
        expect(answer["exit_status"] == 1, "it is bad news", &answer)?;
        let found = answer["findings"].to_string();
        expect(found.contains("redis failed on backend-degraded"), "the pod and the part are named", &answer["findings"])?;
        let well = answer["facts"]["targets"].as_array().map_or(0, |all| all.iter().filter(|t| t["condition"] == "ok").count());
        expect(well == 2, "the two others are well", &answer["facts"])?;
        expect(found.contains("redis works from here"), "redis itself is well", &answer["findings"])?;
        harmed.restore()?;
        say("What it tells: one pod of three cannot reach Redis, which works from here and for the others: compare that pod's REDIS_URL.");
        Ok(())
    }

    fn stuck_rollout(&self) -> Result<()> {
        let traffic = commands::driver(&self.folder)?;
        let harmed = traffic.harm("stuck-rollout", &[])?;
        chapter("A release went out minutes ago, and nobody sees its new pages. The shop is up. What changed?");
        let answer = self.answer(&["health", "backend"])?;
        expect(answer["exit_status"] == 1, "it is bad news", &answer)?;
        let found = answer["findings"].to_string();
        expect(found.contains("rollout of deploy/backend") && found.contains("stuck"), "the rollout is stuck", &answer["findings"])?;
        expect(found.contains("ErrImageNeverPull"), "its image is not there", &answer["findings"])?;
        let answer = self.answer(&["changes", "--since", "10m"])?;
        expect(answer["facts"]["changes"].to_string().contains("no-such-release:2; stuck"), "the change is named", &answer["facts"])?;
        say("What it tells: the new pod waits for an image that does not exist, the old ones serve on.");
        self.runbook("rollout", "stuck")?;
        harmed.restore()?;
        say("The rollout is undone.");
        self.well_again("rollout")
    }

    /// Shows the command with its output, whatever its verdict, and gives the same answer as JSON.
    fn answer(&self, words: &[&str]) -> Result<Value> {
        println!("\n$ {} {}", self.shown(), words.join(" "));
        let (status, output) = self.command(words).ended()?;
        println!("{output}[exit {status}]");
        let (_, json) = self.command(&[words, &["-o", "json"]].concat()).ended()?;
        serde_json::from_str(&json).doing(|| format!("reading obsctl's JSON {json:?}"))
    }

    /// Plants a fault; the last request of it is the one to ask about.
    fn plant(&self, fault: &str, more: &[&str]) -> Result<Planted> {
        let folder = self.folder.display().to_string();
        let text = commands::command(&[&["traffic", "--dir", &folder, "--fault", fault], more].concat())?;
        let last = text.lines().last().ok_or_else(|| Failure::new(format!("{fault} planted nothing in {}", self.folder.display())))?;
        serde_json::from_str(last).doing(|| format!("reading what {fault} planted"))
    }

    /// Shows the command with its output, and gives the same answer as JSON.
    fn ask(&self, id: &str) -> Result<Value> {
        println!("\n$ {} logs --request-id {id}", self.shown());
        let output = self.command(&["logs", "--request-id", id]).output()?;
        print!("{output}");
        let json = self.command(&["logs", "--request-id", id, "-o", "json"]).output()?;
        let answer: Value = serde_json::from_str(&json).doing(|| "reading obsctl's JSON")?;
        expect(answer["exit_status"] == 0, "the request was found", &answer)?;
        Ok(answer["facts"].clone())
    }

    fn command(&self, words: &[&str]) -> Start {
        let start = Start::new("obsctl", &self.obsctl).args(["--config".into(), self.config.display().to_string()]).args(words);
        match &self.kubeconfig {
            Some(path) => start.env("KUBECONFIG", path),
            None => start,
        }
    }

    /// The command as somebody would type it.
    fn shown(&self) -> String {
        let kubeconfig = self.kubeconfig.as_ref().map(|k| format!("KUBECONFIG={} ", k.display())).unwrap_or_default();
        format!("{kubeconfig}{} --config {}", self.obsctl.display(), self.config.display())
    }
}

/// The obsctl that was built beside this program.
fn obsctl() -> Result<PathBuf> {
    let lab = std::env::current_exe().doing(|| "finding this program")?;
    let beside = lab.parent().unwrap_or(Path::new(".")).join("obsctl");
    if beside.exists() { Ok(beside) } else { Err(Failure::new(format!("{} is missing: `cargo build` first", beside.display()))) }
}

fn id(planted: &Planted) -> Result<&str> {
    planted.request_id.as_deref().ok_or_else(|| Failure::new("the fault has no request"))
}

fn task<'a>(attempt: &'a Value, name: &str) -> Result<&'a Value> {
    let tasks = attempt["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    tasks.iter().find(|t| t["name"] == name).ok_or_else(|| Failure::new(format!("the answer names no task {name}: {attempt}")))
}

fn expect(held: bool, what: &str, answer: &Value) -> Result<()> {
    if held { Ok(()) } else { Err(Failure::new(format!("the answer is not the planted one ({what}): {answer}"))) }
}

fn say(text: &str) {
    println!("\n{text}");
}

fn chapter(question: &str) {
    println!("\n────────────────────────────────────────────────────────────────────────\n{question}");
}
