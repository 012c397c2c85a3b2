//! `obsctl watch` and `obsctl notify`: servers that fail and come back, receivers that record, fail and hang, and ends at every moment.

mod day;
mod killed;
mod rotated;
mod rounds;
mod routes;
mod told;

use crate::support::{Obsctl, obsctl};
use lab::web::{Act, Scripted, answer};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::TempDir;

/// An endpoint that is well or ill, as the switch says.
struct Patient {
    server: Scripted,
    well: Arc<AtomicBool>,
}

impl Patient {
    fn new() -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let is = Arc::clone(&well);
        let server = Scripted::start(move |_| {
            Act::Say(match is.load(Ordering::SeqCst) {
                true => answer("200 OK", "application/json", r#"{"status":"healthy","redis":"ok"}"#),
                false => answer(
                    "503 Service Unavailable",
                    "application/json",
                    r#"{"status":"unhealthy","redis":"error: redis://:Tr0ub4dor-and-3@redis:6379 refused"}"#,
                ),
            })
        })
        .unwrap();
        Self { server, well }
    }

    fn url(&self) -> String {
        self.server.url("/health")
    }

    fn is(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }
}

/// A place whose state survives from one run to the next, and its configuration.
struct Place(TempDir);

impl Place {
    /// `rest` is what stands in the environment beside an app.
    fn with(rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("environments:\n  lab:\n    apps: {{site: {{url: 'http://127.0.0.1:9/'}}}}\n{rest}");
        fs::write(folder.path().join("c.yaml"), text).unwrap();
        Self(folder)
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("c.yaml")
    }

    fn run(&self, words: &str) -> Obsctl {
        obsctl(Path::new("/nonexistent"), words)
            .arg("--config")
            .arg(self.config().to_str().unwrap())
            .var("XDG_STATE_HOME", self.0.path().join("state").to_str().unwrap())
    }

    fn watch(&self, words: &str, patient: &Patient) -> Obsctl {
        self.run("watch --interval 150ms").arg_all(words).arg(&patient.url())
    }

    /// What the state of the only watch holds.
    fn kept(&self) -> String {
        let found = glob::glob(&format!("{}/state/obsctl/watch/*/state.json", self.0.path().display())).unwrap().flatten().next();
        found.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }
}
