//! A streaming replica of a server: for lag, for the preference of a replica, for conflicts with recovery.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Major, PATIENCE, PostgresServer, binaries};
use crate::failure::{Doing, Result};
use crate::process::Start;
use crate::sandbox::parts::copy;
use crate::wait;

impl PostgresServer {
    /// A replica that follows this server, on a port of its own, in the same run.
    pub fn replica(&self) -> Result<Self> {
        let name = format!("replica-{}", self.port);
        let dir = self.run.folder(&name)?;
        let data = dir.join("data");
        if self.version == Major::V15 {
            binaries::own(&dir)?;
            binaries::as_postgres(Start::new("pg_basebackup", self.bin.join("pg_basebackup")))
                .args(["--checkpoint=fast", "--no-sync", "-R", "-U", "postgres", "-p", &self.port.to_string(), "-h"])
                .arg(&self.dir)
                .arg("-D")
                .arg(&data)
                .output()?;
        } else {
            self.copy_while_it_runs(&data)?;
        }
        let replica = Self::open(Arc::clone(&self.run), self.version, self.bin.clone(), &name, dir, false)?;
        replica.await_caught_up(self)?;
        Ok(replica)
    }

    /// What pg_basebackup does, which the npm packages do not have: Debian's refuses servers that are newer than itself.
    fn copy_while_it_runs(&self, to: &Path) -> Result<()> {
        let (start, stop) = match self.version {
            Major::V14 => ("pg_start_backup('lab', true, false)", "pg_stop_backup(false, true)"),
            _ => ("pg_backup_start('lab', true)", "pg_backup_stop()"),
        };
        // Both calls belong to one session: it makes the copy in between.
        let mut session = self.session("postgres", "postgres", "lab");
        session.run(&format!("SELECT {start}"));
        copy(&self.dir.join("data"), to)?;
        let label = session.run(&format!("SELECT labelfile FROM {stop}"));
        let _ = fs::remove_file(to.join("postmaster.pid"));
        let address = format!("host={} port={} user=postgres", self.dir.display(), self.port);
        let files = [
            ("backup_label", label + "\n"),
            ("standby.signal", String::new()),
            ("postgresql.auto.conf", format!("primary_conninfo = '{address}'\n")),
        ];
        for (file, content) in files {
            fs::write(to.join(file), content).doing(|| format!("writing {file}"))?;
        }
        Ok(())
    }

    /// Stops a replica from replaying what it receives: it falls behind from now on.
    pub fn pause_replay(&self) {
        self.psql("postgres", "SELECT pg_wal_replay_pause()");
        self.eventually("postgres", "SELECT pg_get_wal_replay_pause_state()", "paused");
    }

    pub fn resume_replay(&self) {
        self.psql("postgres", "SELECT pg_wal_replay_resume()");
    }

    /// Waits until a replica has replayed everything that its primary has written so far.
    pub fn await_caught_up(&self, primary: &Self) -> Result<()> {
        let written = primary.try_psql("postgres", "SELECT pg_current_wal_lsn()")?;
        let question = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{written}', false)");
        wait::poll(PATIENCE, || match self.try_psql("postgres", &question) {
            Ok(answer) if answer == "t" => Ok(()),
            Ok(_) => Err("the replica is behind".into()),
            Err(failure) => Err(failure.to_string()),
        })
    }
}
