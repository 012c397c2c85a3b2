//! Faults of the production itself: what a request cannot cause. Processes die or come where they should not; a half that is about
//! messages is in `tests/sandbox/traffic.py`. Each is undone: its handle restores what it harmed when it is dropped.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::traffic::{Planted, Target, Traffic};
use crate::failure::{Doing, Failure, Result};
use crate::hand::Line;
use crate::process::Start;
use crate::protocol::{Request, Switch};
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(180);

/// One step of a harm.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The half of `traffic.py`.
    Messages,
    /// SIGKILL for the app's first process; in the cluster its pod is deleted at once, and the one that comes in its place is ready.
    Lose(&'static str),
    /// The app has no process.
    Off(&'static str),
    /// It has one, which is ready.
    On(&'static str),
    /// It serves.
    Open(&'static str),
    /// One more pod of the app, which alone cannot reach Redis. In the cluster only, as the three below.
    Degrade(&'static str),
    /// That pod is deleted.
    Heal(&'static str),
    /// A release whose image does not exist is rolled out, and gets stuck.
    Stick(&'static str),
    /// It is taken back.
    Unstick(&'static str),
}

struct Harm {
    name: &'static str,
    plant: &'static [Step],
    restore: &'static [Step],
}

const HARMS: [Harm; 10] = [
    Harm { name: "lost-worker", plant: &[Step::Messages, Step::Lose("celery-mail")], restore: &[Step::On("celery-mail"), Step::Messages] },
    Harm { name: "orphan-queue", plant: &[Step::Messages], restore: &[Step::Messages] },
    Harm { name: "dead-beat", plant: &[Step::Messages, Step::Off("celery-beat")], restore: &[Step::On("celery-beat"), Step::Messages] },
    Harm {
        name: "hoarding",
        plant: &[Step::On("celery-reindex"), Step::Messages],
        restore: &[Step::Off("celery-reindex"), Step::Messages],
    },
    Harm { name: "degraded-pod", plant: &[Step::Degrade("backend")], restore: &[Step::Heal("backend")] },
    Harm { name: "stuck-rollout", plant: &[Step::Stick("backend")], restore: &[Step::Unstick("backend")] },
    Harm { name: "bad-certificate", plant: &[Step::Open("tls-front")], restore: &[Step::Off("tls-front")] },
    Harm { name: "eviction", plant: &[Step::Messages], restore: &[Step::Messages] },
    Harm { name: "lock-pileup", plant: &[Step::Messages], restore: &[Step::Messages] },
    Harm { name: "stale-statistics", plant: &[Step::Messages], restore: &[Step::Messages] },
];

/// Whether this is the name of one, to be planted by [`Traffic::harm`].
pub fn is_harm(name: &str) -> bool {
    HARMS.iter().any(|harm| harm.name == name)
}

/// What is needed to undo a harm, for a command that comes later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Damage {
    pub name: String,
    pub tasks: Vec<String>,
}

/// A planted harm. Dropping it makes the sandbox well again.
#[derive(Debug)]
pub struct Harmed<'a> {
    traffic: &'a Traffic,
    damage: Option<Damage>,
    /// What was planted, and what an operator should find out.
    pub planted: Vec<Planted>,
}

impl Harmed<'_> {
    /// The ids of the planted tasks of one kind.
    pub fn tasks(&self, what: &str) -> Vec<&str> {
        let planted = self.planted.iter().filter(|planted| planted.what.contains(what));
        planted.flat_map(|planted| &planted.tasks).map(|task| task.id.as_str()).collect()
    }

    /// Makes the sandbox well again, and says if it does not become so.
    pub fn restore(mut self) -> Result<()> {
        self.damage.take().map_or(Ok(()), |damage| self.traffic.restore(&damage))
    }

    /// Leaves the damage to somebody else.
    pub fn keep(mut self) -> Option<Damage> {
        self.damage.take()
    }
}

impl Drop for Harmed<'_> {
    fn drop(&mut self) {
        if let Some(damage) = self.damage.take()
            && let Err(failure) = self.traffic.restore(&damage)
        {
            eprintln!("lab: the sandbox is still harmed by {}: {failure}", damage.name);
        }
    }
}

impl Traffic {
    /// Plants a harm of `faults.json`; `--slow-seconds N` among the options says how long a worker is busy.
    pub fn harm(&self, name: &str, options: &[&str]) -> Result<Harmed<'_>> {
        let harm = find(name)?;
        let damage = Damage { name: name.to_owned(), tasks: Vec::new() };
        let mut harmed = Harmed { traffic: self, damage: Some(damage), planted: Vec::new() };
        for step in harm.plant {
            match step {
                Step::Messages => {
                    harmed.planted = self.plant(&[&["--fault", name], options].concat())?;
                    let tasks = harmed.planted.iter().flat_map(|planted| &planted.tasks).map(|task| task.id.clone()).collect();
                    harmed.damage = Some(Damage { name: name.to_owned(), tasks });
                }
                other => self.target().step(*other)?,
            }
        }
        Ok(harmed)
    }

    pub fn restore(&self, damage: &Damage) -> Result<()> {
        for step in find(&damage.name)?.restore {
            match step {
                Step::Messages => {
                    let tasks = damage.tasks.iter().flat_map(|task| ["--task", task]);
                    self.target().command()?.args(["--restore", &damage.name]).args(tasks).output()?;
                }
                other => self.target().step(*other)?,
            }
        }
        Ok(())
    }
}

fn find(name: &str) -> Result<&'static Harm> {
    HARMS.iter().find(|harm| harm.name == name).ok_or_else(|| Failure::new(format!("{name:?} harms nothing")))
}

impl Target {
    fn step(&self, step: Step) -> Result<()> {
        match (self, step) {
            (_, Step::Messages) => Ok(()),
            (Self::Local { holder, profile, .. }, Step::Lose(app) | Step::Off(app)) => switch(holder, *profile, app, Switch::Stop),
            (Self::Local { holder, profile, .. }, Step::On(app) | Step::Open(app)) => switch(holder, *profile, app, Switch::Start),
            (_, Step::Degrade(app)) => self.degrade(app),
            (_, Step::Heal(app)) => self.kubectl(&["delete", "pod", &format!("{app}-degraded"), "--grace-period=0", "--force"]).map(drop),
            (_, Step::Stick(app)) => {
                let deployment = format!("deployment/{app}");
                self.kubectl(&["patch", &deployment, "--patch={\"spec\": {\"progressDeadlineSeconds\": 5}}"])?;
                self.kubectl(&["set", "image", &deployment, "*=lab.test/no-such-release:2"])?;
                let reason = "--output=jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}";
                wait::poll(PATIENCE, || match self.kubectl(&["get", &deployment, reason]) {
                    Ok(reason) if reason == "ProgressDeadlineExceeded" => Ok(()),
                    Ok(reason) => Err(format!("not yet stuck: {reason}")),
                    Err(failure) => Err(failure.to_string()),
                })
            }
            (_, Step::Unstick(app)) => {
                let deployment = format!("deployment/{app}");
                self.kubectl(&["rollout", "undo", &deployment])?;
                self.kubectl(&["patch", &deployment, "--patch={\"spec\": {\"progressDeadlineSeconds\": 600}}"])?;
                self.kubectl(&["rollout", "status", &deployment, "--timeout=120s"]).map(drop)
            }
            (Self::Pods { .. }, Step::Lose(app)) => {
                let selector = format!("app={app}");
                self.kubectl(&["delete", "pods", "--selector", &selector, "--grace-period=0", "--force", "--wait=false"])?;
                self.step(Step::On(app))
            }
            (Self::Pods { .. }, Step::Off(app)) => {
                self.kubectl(&["scale", &format!("deployment/{app}"), "--replicas=0"])?;
                wait::poll(PATIENCE, || match self.kubectl(&["get", "pods", "--selector", &format!("app={app}"), "--output=name"]) {
                    Ok(pods) if pods.trim().is_empty() => Ok(()),
                    Ok(pods) => Err(format!("still there: {pods}")),
                    Err(failure) => Err(failure.to_string()),
                })
            }
            (Self::Pods { .. }, Step::Open(app)) => {
                self.kubectl(&["scale", &format!("deployment/{app}"), "--replicas=1"])?;
                self.kubectl(&["rollout", "status", &format!("deployment/{app}"), "--timeout=120s"]).map(drop)
            }
            (Self::Pods { .. }, Step::On(app)) => {
                self.kubectl(&["scale", &format!("deployment/{app}"), "--replicas=1"])?;
                let words = ["logs", "--tail=-1", &format!("deployment/{app}")].map(str::to_owned);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                wait::poll(PATIENCE, || match self.kubectl(&words) {
                    Ok(log) if log.contains(" ready.") || log.contains("beat: Starting") => Ok(()),
                    Ok(_) => Err(format!("{app} is not ready")),
                    Err(failure) => Err(failure.to_string()),
                })
            }
        }
    }

    /// A pod as the Deployment makes them, so that its Service selects it, with a Redis that is not there.
    fn degrade(&self, app: &str) -> Result<()> {
        let deployment: Value = serde_json::from_str(&self.kubectl(&["get", &format!("deployment/{app}"), "--output=json"])?)
            .doing(|| format!("reading deployment/{app}"))?;
        let mut spec = deployment["spec"]["template"]["spec"].clone();
        spec["containers"][0]["env"] = json!([{"name": "REDIS_URL", "value": "redis://127.0.0.1:1/1"}]);
        let name = format!("{app}-degraded");
        let metadata = json!({"name": name, "labels": deployment["spec"]["template"]["metadata"]["labels"]});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).to_string();
        self.command_of_kubectl(&["apply", "--filename=-"])?.input(pod).output()?;
        wait::poll(PATIENCE, || match self.kubectl(&["get", "pod", &name, "--output=jsonpath={.status.containerStatuses[0].started}"]) {
            Ok(started) if started == "true" => Ok(()),
            Ok(_) => Err(format!("{name} has not started")),
            Err(failure) => Err(failure.to_string()),
        })
    }

    fn kubectl(&self, words: &[&str]) -> Result<String> {
        self.command_of_kubectl(words)?.output()
    }

    fn command_of_kubectl(&self, words: &[&str]) -> Result<Start> {
        let Self::Pods { kubectl, kubeconfig, namespace, .. } = self else {
            return Err(Failure::new("local processes have no kubectl"));
        };
        let start = Start::new("kubectl", kubectl).arg("--kubeconfig").arg(kubeconfig).args(["-n", namespace]);
        Ok(start.args(words.iter().copied()))
    }
}

impl Traffic {
    /// Restarts an app's worker as a deployment does: a new one is ready before it ends. For local processes.
    pub fn restart(&self, process: &str) -> Result<()> {
        let Target::Local { holder, profile, .. } = self.target() else {
            return Err(Failure::new("the cluster restarts its pods itself: kubectl rollout restart"));
        };
        let request = Request::Process { sandbox: *profile, name: process.to_owned(), switch: Switch::Restart };
        Line::to_socket(holder)?.ask::<Value>(&request).map(drop)
    }
}

fn switch(holder: &Path, sandbox: super::Profile, app: &str, switch: Switch) -> Result<()> {
    let request = Request::Process { sandbox, name: format!("{app}-1"), switch };
    Line::to_socket(holder)?.ask::<Value>(&request).map(drop).doing(|| format!("{switch:?} for {app}"))
}
