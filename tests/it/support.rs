//! Running the binary as a user does: an environment of its own, files for what it prints, and a limit after which it is killed.

use lab::{eventually, process};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Far more than a quiet machine needs: what takes longer hangs.
pub const SOON: Duration = Duration::from_secs(120);

/// A command line about to be run.
pub struct Obsctl {
    kubeconfig: PathBuf,
    words: Vec<String>,
    vars: Vec<(String, String)>,
    pipe: &'static str,
    files: Vec<(String, String)>,
}

/// What a user saw.
#[derive(Debug)]
pub struct Ran {
    /// The exit status; 128 and the signal where it died of one.
    pub status: i32,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

/// `obsctl` with this kubeconfig; the words are split at spaces.
pub fn obsctl(kubeconfig: &Path, words: &str) -> Obsctl {
    Obsctl {
        kubeconfig: kubeconfig.to_owned(),
        words: words.split_whitespace().map(str::to_owned).collect(),
        vars: Vec::new(),
        pipe: "",
        files: Vec::new(),
    }
}

impl Obsctl {
    /// One more word, spaces and all.
    pub fn arg(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }

    /// Further words, split at spaces.
    pub fn arg_all(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// A variable of its environment.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file in its working folder.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Pipes its stdout into a shell command, as in `head -1`; the status stays that of obsctl.
    pub fn piped_into(mut self, command: &'static str) -> Self {
        self.pipe = command;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Ran {
        self.start().end(SOON)
    }

    /// Starts it.
    #[track_caller]
    pub fn start(self) -> Live {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in &self.files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        // `exec`: the number of the child is that of obsctl itself, so that signals reach it.
        let script = match self.pipe {
            "" => "exec \"$0\" \"$@\" >out 2>err </dev/null".to_owned(),
            pipe => format!("{{ \"$0\" \"$@\" 2>err </dev/null; echo $? >status; }} | {pipe} >out"),
        };
        let mut start = process::Start::new("obsctl", "sh")
            .clear_env()
            .folder(dir.path())
            .env("HOME", dir.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("COLUMNS", "100")
            .args(["-c", &script, env!("CARGO_BIN_EXE_obsctl")])
            .args(&self.words);
        for (name, value) in &self.vars {
            start = start.env(name, value);
        }
        let child = start.child().unwrap();
        Live { child, dir, begun: Instant::now(), words: self.words.join(" ") }
    }
}

/// A running obsctl; dropping it kills it.
pub struct Live {
    child: Child,
    dir: TempDir,
    begun: Instant,
    words: String,
}

impl Live {
    /// What it has written to stdout so far.
    pub fn out(&self) -> String {
        self.read("out")
    }

    /// What it has written to stderr so far.
    pub fn err(&self) -> String {
        self.read("err")
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.path().join(name)).unwrap_or_default()).into_owned()
    }

    /// Waits until its stdout holds this text.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        eventually(SOON, || match (self.out().contains(text), self.ended()) {
            (true, _) => Ok(()),
            (false, ended) => Err(format!("{} ({ended:?}) does not say {text:?}:\n{}\n{}", self.words, self.out(), self.err())),
        });
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal: `INT`, `TERM`.
    pub fn signal(&self, name: &str) {
        process::run(&["kill", &format!("-{name}"), &self.child.id().to_string()]).unwrap();
    }

    /// Waits for its end; a run that hangs fails the test.
    #[track_caller]
    pub fn end(mut self, limit: Duration) -> Ran {
        let status = eventually(limit, || self.ended().ok_or_else(|| format!("{} hangs:\n{}\n{}", self.words, self.out(), self.err())));
        let own = self.read("status").trim().parse().ok();
        use std::os::unix::process::ExitStatusExt;
        let status = own.or(status.code()).unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ran { status, out: self.out(), err: self.err(), took: self.begun.elapsed() }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// Fails unless it ended with this status.
    #[track_caller]
    pub fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Fails unless stderr holds all of these.
    #[track_caller]
    pub fn warns(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(holds(&self.err, text), "stderr lacks {text:?}:\n{}\nstdout:\n{}", self.err, self.out);
        }
        self
    }

    /// Fails unless stdout holds all of these.
    #[track_caller]
    pub fn shows(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(holds(&self.out, text), "stdout lacks {text:?}:\n{}\nstderr:\n{}", self.out, self.err);
        }
        self
    }

    /// Fails if stdout or stderr holds one of these.
    #[track_caller]
    pub fn never_says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!holds(&self.out, text) && !holds(&self.err, text), "{text:?} is shown:\n{}\n{}", self.out, self.err);
        }
        self
    }

    /// How often stdout holds this.
    pub fn count(&self, text: &str) -> usize {
        self.out.matches(text).count()
    }

    /// Its stdout as one JSON object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }

    /// Its stdout as one JSON object per line.
    #[track_caller]
    pub fn ndjson(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// Whether a screen holds a text, wherever its lines are broken.
fn holds(screen: &str, text: &str) -> bool {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    screen.contains(text) || one_line(screen).contains(&one_line(text))
}
