//! `lab sandbox …`: a sandbox that outlives the command, for people.
//!
//! ```text
//! lab sandbox up [--pods] [--profile a|b|c|d] [--dir FOLDER]
//! lab sandbox down [--pods] [--dir FOLDER]
//! lab sandbox traffic [--pods] [--dir FOLDER] --fault NAME | --all | --count N [--slow-seconds N]
//! lab sandbox restore [--pods] [--dir FOLDER] NAME
//! ```
//!
//! Local processes have a holder of their own, which FOLDER names. Pods live in the warm cluster (`lab cluster up`), which
//! is started if it is not there and stays; FOLDER holds only what is said about them. A fault that harms the sandbox itself
//! stays until it is restored.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::harm::{self, Damage};
use super::local::Info;
use super::traffic::{Seeds, Target, Traffic};
use super::{PodSandbox, Profile};
use crate::failure::{Doing, Failure, Result};
use crate::hand::{Lab, Line};
use crate::process::Start;
use crate::protocol::{Part, Request};
use crate::warm;

const USAGE: &str = "usage: lab sandbox up [--pods] [--profile a|b|c|d] [--dir FOLDER], lab sandbox down [--pods] [--dir FOLDER], \
                     lab sandbox traffic [--pods] [--dir FOLDER] --fault NAME|--all|--count N [--slow-seconds N], \
                     lab sandbox restore [--pods] [--dir FOLDER] NAME";

/// Returns what to print.
pub fn command(words: &[&str]) -> Result<String> {
    let (verb, rest) = words.split_first().ok_or_else(|| Failure::new(USAGE))?;
    let options = Options::read(rest)?;
    match *verb {
        "up" if options.pods => up_pods(&options.folder, options.profile()?),
        "up" => up(&options.folder, options.profile()?),
        "down" => down(&options.folder, options.pods),
        "restore" => restore(&options.folder, &options.others),
        "traffic" => traffic(&options.folder, &options.others),
        _ => Err(Failure::new(USAGE)),
    }
}

struct Options {
    folder: PathBuf,
    pods: bool,
    others: Vec<String>,
}

impl Options {
    fn read(words: &[&str]) -> Result<Self> {
        let pods = words.contains(&"--pods");
        let folder = warm::default_folder().join(if pods { "sandbox-pods" } else { "sandbox" });
        let mut options = Self { folder, pods, others: Vec::new() };
        let mut words = words.iter().filter(|word| **word != "--pods");
        while let Some(word) = words.next() {
            if *word == "--dir" {
                let folder = words.next().ok_or_else(|| Failure::new(USAGE))?;
                options.folder = std::path::absolute(folder).doing(|| format!("finding {folder}"))?;
            } else {
                options.others.push((*word).to_owned());
            }
        }
        Ok(options)
    }

    fn profile(&self) -> Result<Profile> {
        let others: Vec<&str> = self.others.iter().map(String::as_str).collect();
        match others[..] {
            [] => Ok(Profile::default()),
            ["--profile", profile] => profile.parse(),
            _ => Err(Failure::new(USAGE)),
        }
    }
}

/// What the next command must know: `sandbox.json` in the folder.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    target: Target,
    /// What to print again.
    says: String,
}

impl About {
    fn path(folder: &Path) -> PathBuf {
        folder.join("sandbox.json")
    }

    fn read(folder: &Path) -> Result<Self> {
        let path = Self::path(folder);
        let text = fs::read(&path).doing(|| format!("reading {} (is the sandbox up?)", path.display()))?;
        serde_json::from_slice(&text).doing(|| format!("reading {}", path.display()))
    }

    /// Writes it beside the sandbox's `obsctl.yaml`.
    fn write(self, folder: &Path, config: &Path) -> Result<String> {
        let copy = folder.join("obsctl.yaml");
        fs::copy(config, &copy).doing(|| format!("writing {}", copy.display()))?;
        let text = serde_json::to_string_pretty(&self).doing(|| "writing what is up")?;
        fs::write(Self::path(folder), text).doing(|| format!("writing {}", Self::path(folder).display()))?;
        Ok(format!("{}\nconfig     {}", self.says, copy.display()))
    }
}

fn up(folder: &Path, profile: Profile) -> Result<String> {
    let state = warm::holder(folder)?;
    let mut line = Line::to_socket(&warm::find(&state)?.socket)?;
    let info: Info = line.ask(&Request::Need(Part::Sandbox(profile))).inspect_err(|_| {
        // A holder without a sandbox is of no use to anybody.
        let _ = down(folder, false);
    })?;
    About { target: info.target.clone(), says: describe(&info) }.write(folder, &info.config)
}

/// Writes into a folder what the commands must know of a sandbox that lives elsewhere.
pub fn adopt(folder: &Path, target: &Target, config: &Path) -> Result<()> {
    About { target: target.clone(), says: String::new() }.write(folder, config).map(drop)
}

fn describe(info: &Info) -> String {
    let mut lines = vec![format!("profile    {}", info.profile)];
    lines.extend(info.urls.iter().map(|url| format!("web        {url}/api/health/  (needs X-Forwarded-Proto: https)")));
    lines.extend(info.logs.iter().map(|(name, path)| format!("log        {name:<15}{}", path.display())));
    lines.push(format!("secrets    {}", info.dir.join("secrets").display()));
    lines.join("\n")
}

fn up_pods(folder: &Path, profile: Profile) -> Result<String> {
    if About::path(folder).exists() {
        return Err(Failure::new(format!("{} says that one is up: `lab sandbox down --pods` first", About::path(folder).display())));
    }
    fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
    let state = warm::holder(&warm::default_folder())?;
    // A handle on the cluster lives as long as the process, which is about to end.
    let lab: &'static Lab = Box::leak(Box::new(Lab::warm(&state)?));
    let cluster = lab.cluster();
    let sandbox = PodSandbox::start(&cluster, profile)?;
    let config = sandbox.config.clone();
    let says =
        format!("profile    {profile}\nnamespace  {}\nexport KUBECONFIG={}", sandbox.namespace.name(), cluster.kubeconfig().display());
    About { target: sandbox.keep(), says }.write(folder, &config)
}

/// The kubeconfig of a sandbox of pods; none for local processes.
pub fn kubeconfig(folder: &Path) -> Option<PathBuf> {
    match About::read(folder).ok()?.target {
        Target::Pods { kubeconfig, .. } => Some(kubeconfig),
        Target::Local { .. } => None,
    }
}

fn down(folder: &Path, pods: bool) -> Result<String> {
    if pods && let Ok(About { target: Target::Pods { kubectl, kubeconfig, namespace, .. }, .. }) = About::read(folder) {
        let delete = Start::new("kubectl", kubectl).arg("--kubeconfig").arg(kubeconfig);
        delete.args(["delete", "namespace", &namespace, "--ignore-not-found"]).output()?;
    }
    warm::down(folder)?;
    for name in ["sandbox.json", "obsctl.yaml", "holder.log", "seed"] {
        let _ = fs::remove_file(folder.join(name));
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("harmed-") {
            let _ = fs::remove_file(entry.path());
        }
    }
    // Only if nothing of anybody else's is in it.
    let _ = fs::remove_dir(folder);
    Ok(String::new())
}

fn traffic(folder: &Path, options: &[String]) -> Result<String> {
    let traffic = driver(folder)?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let planted = match options[..] {
        ["--fault", name, ref rest @ ..] if harm::is_harm(name) => {
            let harmed = traffic.harm(name, rest)?;
            let planted = harmed.planted.clone();
            let damage = serde_json::to_string(&harmed.keep()).doing(|| "writing what is harmed")?;
            let path = damage_path(folder, name);
            fs::write(&path, damage).doing(|| format!("writing {}", path.display()))?;
            planted
        }
        _ => traffic.plant(&options)?,
    };
    let lines: std::result::Result<Vec<String>, _> = planted.iter().map(serde_json::to_string).collect();
    Ok(lines.doing(|| "writing what was planted")?.join("\n"))
}

fn restore(folder: &Path, names: &[String]) -> Result<String> {
    let [name] = names else { return Err(Failure::new(USAGE)) };
    let path = damage_path(folder, name);
    let text = fs::read(&path).doing(|| format!("reading {} (was {name} planted?)", path.display()))?;
    let damage: Damage = serde_json::from_slice(&text).doing(|| format!("reading {}", path.display()))?;
    driver(folder)?.restore(&damage)?;
    fs::remove_file(&path).doing(|| format!("deleting {}", path.display()))?;
    Ok(String::new())
}

/// What drives the sandbox of this folder.
pub fn driver(folder: &Path) -> Result<Traffic> {
    Ok(Traffic::new(About::read(folder)?.target, Seeds::File(folder.join("seed"))))
}

fn damage_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("harmed-{name}.json"))
}
