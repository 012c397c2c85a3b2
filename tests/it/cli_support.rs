//! Running the binary without a cluster: an environment that holds only what a test puts into it, a home of its own, a limit of time.
#![expect(clippy::disallowed_methods, reason = "starts the binary that is tested")]

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The binary.
pub const OBSCTL: &str = env!("CARGO_BIN_EXE_obsctl");

/// The captured logs.
pub fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A machine with a home, a key of masks that is always the same, and a working folder.
pub struct Desk {
    home: TempDir,
    folder: PathBuf,
    vars: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
}

/// What a user saw.
#[derive(Debug)]
pub struct Seen {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    /// One with an empty working folder.
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        let state = home.path().join(".local/state/obsctl");
        fs::create_dir_all(&state).expect("a state folder");
        fs::write(state.join("mask-key"), [7; 32]).expect("a key");
        let folder = home.path().join("work");
        fs::create_dir(&folder).expect("a folder");
        Self { home, folder, vars: Vec::new(), stdin: None }
    }

    /// One that works among the captured logs.
    pub fn at_fixtures() -> Self {
        Self { folder: fixtures(), ..Self::new() }
    }

    /// A variable.
    pub fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.vars.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// What stands in stdin.
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(bytes.to_owned());
        self
    }

    /// A file of the working folder.
    pub fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, bytes).expect("a file");
        self
    }

    /// A path in the working folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs obsctl; the words are split at spaces.
    pub fn run(&self, words: &str) -> Seen {
        self.start(OBSCTL, words.split_whitespace())
    }

    /// Runs a script of bash; `$OBSCTL` is the binary, `$ROOT` the repository.
    pub fn bash(&self, script: &str) -> Seen {
        self.start("bash", ["--norc", "--noprofile", "-c", script])
    }

    /// Runs a program to its end, or to the end of our patience (status 124).
    pub fn start<'a>(&self, program: &str, words: impl IntoIterator<Item = &'a str>) -> Seen {
        let stdin = match &self.stdin {
            None => Stdio::null(),
            Some(bytes) => {
                let path = self.home.path().join("stdin");
                fs::write(&path, bytes).expect("a file");
                File::open(path).expect("our file").into()
            }
        };
        let output = Command::new("timeout")
            .args(["-k", "1", "60", program])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("OBSCTL", OBSCTL)
            .env("ROOT", root())
            .envs(self.vars.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(stdin)
            .output()
            .expect("coreutils' timeout is there");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).expect("obsctl writes UTF-8 only");
        Seen { status: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}
