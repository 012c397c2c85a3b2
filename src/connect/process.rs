//! Runs the commands that a trusted configuration names: stdin closed or fed, output bounded, a deadline; or as long as they print a log. What
//! the former print is a secret and is never shown; of what they complain about, the last line is, redacted.
#![expect(clippy::disallowed_methods, reason = "the one place that starts programs for the configuration")]

use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use secrecy::SecretString;
use std::{io::ErrorKind, process::Stdio, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// How long a command may take: a password manager may ask for a fingerprint.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest value; a URL, a password, a certificate with its chain.
const LONGEST: u64 = 64 << 10;

/// What a command prints, as it is.
///
/// # Errors
/// `Config`: there is no such command, it failed, printed too much or no text. `Timeout`: it did not end.
pub async fn output(words: &[String], redact: &Redactor) -> Result<SecretString> {
    output_within(words, &[], redact, PATIENCE).await
}

/// Runs a command with this on its stdin, to its end.
///
/// # Errors
/// As `output`.
pub async fn feed(words: &[String], input: &[u8], patience: Duration, redact: &Redactor) -> Result<()> {
    output_within(words, input, redact, patience).await.map(|_| ())
}

/// How a command ended by itself.
#[derive(Debug)]
pub struct CommandEnd {
    /// Its exit status; 128 and the signal's number where one ended it.
    pub status: u64,
    /// What it printed.
    pub printed: SecretString,
    /// The last line of what it complained about, redacted.
    pub complaint: Safe,
}

/// Runs a command to its end, whatever that is.
///
/// # Errors
/// `Config`: there is no such command, or it may not be run. `Timeout`: it did not end.
pub async fn end_of(words: &[String], patience: Duration, redact: &Redactor) -> Result<CommandEnd> {
    let (status, out, complaint) = raw_output(words, &[], patience).await?;
    let status = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
        (Some(code), _) => u64::try_from(code).unwrap_or(1),
        (None, signal) => 128 + u64::try_from(signal.unwrap_or(0)).unwrap_or(0),
    };
    let printed = String::from_utf8_lossy(&out).into_owned();
    Ok(CommandEnd { status, printed: SecretString::from(printed), complaint: redact.safe(last_line(&complaint)).clipped(300) })
}

fn last_line(text: &[u8]) -> &[u8] {
    text.split(|b| *b == b'\n').rfind(|l| !l.trim_ascii().is_empty()).unwrap_or_default()
}

/// A command that prints as long as it runs.
pub struct Running {
    child: tokio::process::Child,
    complaint: Option<tokio::process::ChildStderr>,
    shown: Safe,
    redact: Redactor,
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// `Config`: it failed; its last complaint is said, redacted.
    pub async fn ended(mut self) -> Result<()> {
        let (complaint, status) = tokio::join!(bounded(self.complaint.take()), self.child.wait());
        let status = status.map_err(|e| failed(&self.shown, Kind::Config, Safe::name(e.to_string())))?;
        if status.success() { Ok(()) } else { Err(failed(&self.shown, Kind::Config, complained(&complaint, status.code(), &self.redact))) }
    }
}

/// Starts a command; gives what it prints, as it comes, and itself: it ends when it is dropped.
///
/// # Errors
/// `Config`: there is no such command, or it may not be executed.
pub fn start(words: &[String], redact: &Redactor) -> Result<(impl AsyncRead + Unpin + use<>, Running)> {
    let (program, arguments) = words.split_first().ok_or_else(|| Error::new(Kind::Config, "running a command").what("it is empty"))?;
    let shown = Safe::name(program);
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| not_started(&shown, &e))?;
    let (out, complaint) = (child.stdout.take(), child.stderr.take());
    let out = out.ok_or_else(|| failed(&shown, Kind::Bug, "it has no output".into()))?;
    Ok((out, Running { child, complaint, shown, redact: redact.clone() }))
}

fn failed(shown: &Safe, kind: Kind, what: Safe) -> Error {
    Error::new(kind, safe!("running the configuration's command {}", *shown)).what(what).hint(Hint::Try("run it by hand".into()))
}

fn not_started(shown: &Safe, e: &std::io::Error) -> Error {
    let what = match e.kind() {
        ErrorKind::NotFound => "there is no such command".into(),
        ErrorKind::PermissionDenied => "it may not be executed".into(),
        _ => Safe::name(e.to_string()),
    };
    failed(shown, Kind::Config, what)
}

/// The last line of what a command said before it failed.
fn complained(complaint: &[u8], status: Option<i32>, redact: &Redactor) -> Safe {
    let last = last_line(complaint);
    let how = status.map_or(Safe::EMPTY, |code| safe!(" with status {}", code));
    if last.is_empty() { safe!("it failed{}", how) } else { safe!("it failed{}: {}", how, redact.safe(last).clipped(300)) }
}

async fn output_within(words: &[String], input: &[u8], redact: &Redactor, patience: Duration) -> Result<SecretString> {
    let fail = |kind, what: Safe| failed(&words.first().map(Safe::name).unwrap_or_default(), kind, what);
    let (status, out, complaint) = raw_output(words, input, patience).await?;
    if out.len() as u64 > LONGEST {
        return Err(fail(Kind::Config, "it printed more than 64 KiB".into()));
    }
    if !status.success() {
        return Err(fail(Kind::Config, complained(&complaint, None, redact)));
    }
    String::from_utf8(out).map(SecretString::from).map_err(|_| fail(Kind::Config, "it printed something that is not UTF-8".into()))
}

/// Runs a command: its status, what it printed, what it complained about.
async fn raw_output(words: &[String], input: &[u8], patience: Duration) -> Result<(std::process::ExitStatus, Vec<u8>, Vec<u8>)> {
    let (program, arguments) = words.split_first().ok_or_else(|| Error::new(Kind::Config, "running a command").what("it is empty"))?;
    let shown = Safe::name(program);
    let fail = |kind, what: Safe| failed(&shown, kind, what);
    let mut command = tokio::process::Command::new(program);
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| not_started(&shown, &e))?;
    let (stdin, out, complaint) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feeding = async {
        if let Some(mut stdin) = stdin {
            // A command that does not want to read all of it may end.
            let _ = stdin.write_all(input).await;
        }
    };
    let run = async { tokio::join!(feeding, bounded(out), bounded(complaint), child.wait()) };
    let ((), out, complaint, status) = tokio::time::timeout(patience, run)
        .await
        .map_err(|_| fail(Kind::Timeout, safe!("it did not end within {} s", patience.as_secs())))?;
    let status = status.map_err(|e| fail(Kind::Config, Safe::name(e.to_string())))?;
    Ok((status, out, complaint))
}

/// All of a stream, of which one byte more than allowed is kept; the rest is read and forgotten, so that the command can end.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    // A stream that breaks has ended.
    let _ = (&mut stream).take(LONGEST + 1).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    async fn run(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let answer = output_within(&words, &[], &Redactor::default(), Duration::from_secs(2)).await;
        answer.map(|secret| secret.expose_secret().to_owned()).map_err(|e| e.what_happened().to_string())
    }

    #[tokio::test]
    async fn takes_what_is_printed_and_shows_no_more_than_a_complaint() {
        assert_eq!(run(&["printf", "a\\nb\\n"]).await, Ok("a\nb\n".into()));
        assert_eq!(run(&["sh", "-c", "cat; echo end"]).await, Ok("end\n".into()));
        assert_eq!(
            run(&["sh", "-c", "echo hunter2; echo no; echo password=hunter2 >&2; exit 3"]).await.map_err(|e| e.contains("hunter2")),
            Err(false)
        );
        assert_eq!(run(&["no-such-command-at-all"]).await, Err("there is no such command".into()));
        assert_eq!(run(&["/etc"]).await, Err("it may not be executed".into()));
        assert_eq!(run(&["head", "-c", "100000", "/dev/zero"]).await, Err("it printed more than 64 KiB".into()));
        assert_eq!(run(&["printf", "\\377"]).await, Err("it printed something that is not UTF-8".into()));
        assert_eq!(run(&["sleep", "60"]).await, Err("it did not end within 2 s".into()));
        let words = ["sh", "-c", "grep -q '\"n\":3'"].map(str::to_owned);
        assert!(feed(&words, b"{\"n\":3}", Duration::from_secs(2), &Redactor::default()).await.is_ok());
        assert!(feed(&words, b"{}", Duration::from_secs(2), &Redactor::default()).await.is_err());
        assert_eq!(run(&["false"]).await, Err("it failed".into()));
    }
}
