//! The examples beside the documentation: the shell steps of CI, run as they stand; cron's line; the command of Icinga.

use lab::process::Start;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)).unwrap()
}

/// The commands that begin with one of these words, wherever they stand.
fn steps(text: &str) -> Vec<String> {
    let stripped = text.lines().map(|line| line.trim().trim_start_matches("- "));
    stripped.filter(|line| line.starts_with("obsctl ") || line.starts_with("./deploy.sh")).map(str::to_owned).collect()
}

/// A repository with checks, a deploy that does as it is told, and obsctl on the path.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new(deploy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("ops")).unwrap();
        fs::create_dir_all(at("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_obsctl"), at("bin/obsctl")).unwrap();
        fs::write(at("ops/obsctl.yaml"), "environments: {lab: {apps: {x: {url: 'http://127.0.0.1:1/'}}}}").unwrap();
        let checks = "checks:\n  - {name: ill before, command: ['false']}\n  - {name: the file, command: [test, '!', -e, broken]}\n";
        fs::write(at("ops/checks.yaml"), checks).unwrap();
        fs::write(at("deploy.sh"), format!("#!/bin/sh\n{deploy}\n")).unwrap();
        fs::set_permissions(at("deploy.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    /// Runs the steps as a runner does: each ends the job when it fails. How many went well.
    fn run(&self, steps: &[String]) -> usize {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.0.path().join("bin").display());
        let good = |step: &&String| {
            // Nobody waits five minutes for what will never be well.
            let script = step.replace("--wait 5m", "--wait 1s --interval 300ms");
            let start = Start::new("step", "bash").clear_env().folder(self.0.path()).env("PATH", &path).env("HOME", self.0.path());
            let start = start
                .env("TAG", "0.57.0")
                .env("OBSCTL_CONFIG", "ops/obsctl.yaml")
                .env("GITHUB_STEP_SUMMARY", self.0.path().join("summary.md"));
            start.args(["-e", "-c", &script]).output().is_ok()
        };
        steps.iter().take_while(good).count()
    }
}

#[test]
fn ci_stops_a_deploy_that_breaks_something() {
    for file in ["github-actions.yml", "gitlab-ci.yml"] {
        let steps = steps(&example(file));
        assert_eq!(steps.len(), 3, "{file}: {steps:?}");
        assert_eq!(Repository::new("true").run(&steps), 3, "{file}");
        let broken = Repository::new("touch broken");
        assert_eq!(broken.run(&steps), 2, "{file}");
        let xml = fs::read_to_string(broken.0.path().join("check.xml")).unwrap();
        assert!(xml.contains("failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
        if file.starts_with("github") {
            let summary = fs::read_to_string(broken.0.path().join("summary.md")).unwrap();
            assert!(summary.matches("### obsctl check").count() == 2 && summary.contains("New failures: the file"), "{summary}");
        }
    }
}

#[test]
fn cron_and_icinga_say_what_the_command_line_knows() {
    use clap::Parser;
    let cron = example("crontab");
    let line = cron
        .lines()
        .find(|l| l.contains("obsctl check"))
        .and_then(|l| l.split_once("obsctl "))
        .map(|(_, rest)| rest.replace(" >/dev/null", ""))
        .unwrap();
    obsctl::cli::Cli::try_parse_from(std::iter::once("obsctl").chain(line.split_whitespace())).unwrap();
    let icinga = example("icinga2.conf");
    for flag in ["--nagios", "--deadline", "--file", "--only", "--config"] {
        assert!(icinga.contains(&format!("\"{flag}\"")), "{flag}");
    }
    obsctl::cli::Cli::try_parse_from([
        "obsctl",
        "check",
        "--nagios",
        "--deadline",
        "50s",
        "--file",
        "a.yaml",
        "--only",
        "x",
        "--config",
        "c",
    ])
    .unwrap();
}
