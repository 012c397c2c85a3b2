//! `obsctl queue` against real Redis servers and real Celery workers. What is asserted is what the test itself did to them.

mod depth;
mod depth_faults;
mod depth_findings;
mod find;
mod peek;
mod rights;
mod sandbox;
mod workers;

use crate::support::{Obsctl, obsctl};
use lab::{Pool, Version};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// `obsctl` at a broker that keeps the results too, as the application's own variables name it.
fn at(url: &str, words: &str) -> Obsctl {
    obsctl(Path::new("/nowhere"), words).var("CELERY_BROKER_URL", url).var("CELERY_RESULT_BACKEND", url)
}

/// A desk with a configuration, and a state that one run leaves for the next.
struct Desk(TempDir);

impl Desk {
    /// `broker` is the inside of that key: `url: …, visibility_timeout: 60s`.
    fn with(broker: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("environments:\n  lab:\n    broker: {{{broker}}}\n");
        std::fs::write(folder.path().join("obsctl.yaml"), text).unwrap();
        Self(folder)
    }

    fn run(&self, words: &str) -> Obsctl {
        let state = self.0.path().join("state");
        let config = self.0.path().join("obsctl.yaml");
        obsctl(Path::new("/nowhere"), words).arg("--config").arg(config.to_str().unwrap()).var("XDG_STATE_HOME", state.to_str().unwrap())
    }
}

/// The queue of this name in an answer.
#[track_caller]
fn queue<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let queues = answer["facts"]["queues"].as_array().unwrap();
    queues.iter().find(|queue| queue["name"] == name).unwrap_or_else(|| panic!("no queue {name}: {answer:#}"))
}

/// The codes of all findings.
fn codes(answer: &Value) -> Vec<&str> {
    answer["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// A test for every version of Celery and every pool that is tested, the pools side by side.
fn each_pool(test: fn(Version, Pool)) {
    std::thread::scope(|scope| {
        for pool in Pool::tested() {
            let versions = Version::tested().into_iter().filter(move |version| version.has(pool));
            std::thread::Builder::new()
                .name(pool.name().to_owned())
                .spawn_scoped(scope, move || versions.for_each(|version| test(version, pool)))
                .unwrap();
        }
    });
}
