//! The file of an incident: Markdown that a ticket shows, readable by its owner alone, never in the place of another file.

use super::IncidentFacts;
use crate::{
    error::{Error, Kind, Result},
    report::{Style, Where},
    safe,
    text::Safe,
};
use secrecy::ExposeSecret;
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// A file that is there, and empty.
pub(super) struct Created {
    pub path: PathBuf,
    file: File,
}

/// Creates it, before anything is asked: a disk that is full should be known first.
pub(super) fn create(path: PathBuf) -> Result<Created> {
    let shown = Safe::name(path.as_os_str().as_encoded_bytes());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|e| {
        // A folder that is not there was mistyped.
        let typed = matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory);
        let kind = if typed { Kind::Usage } else { Kind::Output };
        Error::new(kind, safe!("creating {}", shown)).what(Safe::name(e.to_string()))
    })?;
    Ok(Created { path, file })
}

/// What an exit status means, as a mark.
pub(super) fn verdict(status: Option<u64>) -> (Style, &'static str) {
    match status {
        Some(0) => (Style::Good, "ok"),
        Some(1) => (Style::Bad, "BAD NEWS"),
        Some(4) => (Style::Warn, "WARNING"),
        _ => (Style::Warn, "UNKNOWN"),
    }
}

/// Writes all of it.
pub(super) fn write(created: &Created, place: &Where, facts: &IncidentFacts, total: usize) -> Result<()> {
    let parts = &facts.parts;
    let environment = place.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    let mut text = format!(
        "# Incident{environment}, {:.0}\n\nWritten by obsctl {}. It read; it changed nothing. Secrets were removed.\n\n",
        facts.observed_at,
        env!("CARGO_PKG_VERSION")
    );
    text.push_str("| | Command | In a line |\n|---|---|---|\n");
    for part in parts {
        let cell = |text: &Safe| text.as_str().replace('|', "\\|").replace('`', "'");
        text.push_str(&format!("| {} | `{}` | {} |\n", verdict(part.status).1, cell(&part.command), cell(&part.says)));
    }
    if parts.len() < total {
        text.push_str(&format!("\n{} of {total} parts were not run: it was stopped before.\n", total - parts.len()));
    }
    if !facts.left_out.is_empty() {
        text.push_str(&format!("\nLeft out: {}.\n", Safe::join(&facts.left_out, "; ")));
    }
    for part in parts {
        let printed = part.printed.expose_secret();
        // A fence that nothing inside can end.
        let longest = printed.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let body = if printed.trim().is_empty() { part.says.as_str() } else { printed.trim_end() };
        let cut = if printed.len() > 64 << 10 { "\n(cut after 64 KiB)" } else { "" };
        text.push_str(&format!("\n## `{}`\n\n{fence}text\n{body}{cut}\n{fence}\n", part.command.as_str().replace('`', "'")));
    }
    let mut file = &created.file;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| {
        let shown = Safe::name(created.path.as_os_str().as_encoded_bytes());
        Error::new(Kind::Output, safe!("writing {}", shown)).what(Safe::name(e.to_string()))
    })
}
