//! Which file is the configuration, and whether it may act. A file that merely lies in a project folder may run no command, read no file
//! and expand no variable until its user stored the hash of its content. Parses nothing itself.

use super::{
    Inputs, Vars,
    build::Builder,
    file::{self, MAX_BYTES, READING, shown},
};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// How the file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// `--config`, or `config trust FILE`.
    Named,
    /// Lies in the working folder or above it.
    Project,
    /// The user's own.
    User,
}

/// A configuration file, read.
pub(super) struct Source {
    /// Absolute.
    pub path: PathBuf,
    /// What is parsed is what was hashed: the bytes are read once.
    pub bytes: Vec<u8>,
    /// Whether it may act.
    pub trusted: bool,
}

/// Finds and reads the file. None: there is none, which is fine.
pub(super) fn open(inputs: &Inputs) -> Result<Option<Source>> {
    let Some((path, how)) = find(inputs) else { return Ok(None) };
    // A pipe of that name in a project would block for ever; `--config <(command)` is a pipe that its user wants.
    if how == How::Project && fs::metadata(&path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return Err(Error::new(Kind::Config, READING).what(safe!("{}: is not a plain file", shown(&path))));
    }
    let bytes = read(&path)?;
    let trusted = how != How::Project || is_stored(&inputs.vars, &path, &bytes);
    Ok(Some(Source { path, bytes, trusted }))
}

fn find(inputs: &Inputs) -> Option<(PathBuf, How)> {
    let named = inputs.config.clone().or_else(|| inputs.vars.path("OBSCTL_CONFIG"));
    if let Some(named) = named {
        return Some((absolute(inputs, &named), How::Named));
    }
    // What exists but cannot be read is found here and fails in `read`: skipping it would silently mean another production.
    for folder in inputs.cwd.ancestors() {
        let path = folder.join("obsctl.yaml");
        if fs::symlink_metadata(&path).is_ok() {
            return Some((path, How::Project));
        }
    }
    let own = inputs.vars.xdg("XDG_CONFIG_HOME", ".config")?.join("obsctl/config.yaml");
    fs::symlink_metadata(&own).is_ok().then_some((own, How::User))
}

/// Against the working folder, without `.` in it.
fn absolute(inputs: &Inputs, path: &Path) -> PathBuf {
    inputs.cwd.join(path).components().collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the parser sees that it is too large; a device or a pipe may never end.
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::new(Kind::Config, READING).what(safe!("{}: {}", shown(path), why(&error))))?;
    Ok(bytes)
}

fn why(error: &io::Error) -> Safe {
    match error.kind() {
        ErrorKind::NotFound => "no such file".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::IsADirectory => "is a folder, not a file".into(),
        _ => Safe::name(error.to_string()),
    }
}

/// The folder for what obsctl remembers: `$XDG_STATE_HOME/obsctl`, else `~/.local/state/obsctl`. None without a home.
pub fn state_folder(vars: &Vars) -> Option<PathBuf> {
    Some(vars.xdg("XDG_STATE_HOME", ".local/state")?.join("obsctl"))
}

/// Content and place together: relative paths mean something else in another folder.
fn digest(path: &Path, bytes: &[u8]) -> String {
    // Of a link, its own place: that is the folder where relative paths start.
    let place = match (path.parent().and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    };
    let mut hash = Sha256::new();
    hash.update(place.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entry(vars: &Vars, digest: &str) -> Option<PathBuf> {
    Some(state_folder(vars)?.join("trust").join(digest))
}

fn is_stored(vars: &Vars, path: &Path, bytes: &[u8]) -> bool {
    entry(vars, &digest(path, bytes)).is_some_and(|entry| fs::symlink_metadata(entry).is_ok_and(|m| m.is_file()))
}

/// Something that only a trusted file may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// Where the file asks for it: `file:line:column`.
    pub place: Safe,
    /// What it does: `runs a command`.
    pub does: &'static str,
    /// With what, redacted.
    pub what: Safe,
}

/// What trusting a file would allow.
#[derive(Debug)]
pub struct TrustPlan {
    /// The file.
    pub file: PathBuf,
    /// All that it would do.
    pub actions: Vec<Action>,
    /// Whether it may already: trusted before, the user's own, or named.
    pub already: bool,
    digest: String,
}

/// Reads `file`, or the one that is found, and says what it would do. Does none of it.
pub fn plan_trust(inputs: &Inputs, file: Option<&Path>) -> Result<TrustPlan> {
    let source = match file {
        Some(file) => {
            let path = absolute(inputs, file);
            let bytes = read(&path)?;
            let trusted = is_stored(&inputs.vars, &path, &bytes);
            Source { path, bytes, trusted }
        }
        None => open(inputs)?.ok_or_else(|| {
            Error::new(Kind::Config, READING)
                .what("no configuration file was found")
                .hint(Hint::Try("name the file: obsctl config trust FILE".into()))
        })?,
    };
    let raw = file::parse(&source.bytes, &source.path)?;
    let digest = digest(&source.path, &source.bytes);
    let already = source.trusted;
    let source = Source { trusted: true, ..source };
    let mut builder = Builder::new(&source, &inputs.vars);
    for (name, environment) in &raw.environments.0 {
        builder.look_at(name, environment);
    }
    let actions = builder.actions();
    Ok(TrustPlan { file: source.path, actions, already, digest })
}

impl TrustPlan {
    /// Stores that this file, with this content, at this place, may act. Returns where that is stored.
    pub fn store(&self, vars: &Vars) -> Result<PathBuf> {
        let failed = |what: Safe| Error::new(Kind::Config, "storing trust").what(what);
        let entry = entry(vars, &self.digest)
            .ok_or_else(|| failed("no state folder".into()).hint(Hint::Set("HOME or XDG_STATE_HOME, as an absolute path".into())))?;
        let write = || -> io::Result<()> {
            // `entry` has a parent: it was joined from the state folder.
            let folder = entry.parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            // A temporary file is 0600, and renamed when whole: a reader sees all of it or nothing.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(self.file.as_os_str().as_encoded_bytes())?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&entry)?;
            Ok(())
        };
        write().map_err(|error| failed(safe!("{}: {}", shown(&entry), why(&error))))?;
        Ok(entry)
    }
}
