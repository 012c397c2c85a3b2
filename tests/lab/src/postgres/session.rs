//! An open session: a psql that is told statement after statement, so that a test has somebody who holds a lock or waits for one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use crate::failure::{Doing, Failure, Result};
use crate::process::Start;

/// What psql prints when it has done everything before.
const DONE: &str = "-- lab: done --";

/// Dropping it hangs up: what its transaction has done is rolled back.
#[derive(Debug)]
pub struct PgSession {
    psql: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pid: i32,
}

impl PgSession {
    pub(crate) fn open(psql: &Start) -> Result<Self> {
        let mut psql = psql.clone().arg("-f").arg("-").child()?;
        let (Some(input), Some(output)) = (psql.stdin.take(), psql.stdout.take()) else {
            return Err(Failure::new("psql has no pipes"));
        };
        let mut session = Self { psql, input, output: BufReader::new(output), pid: 0 };
        // Errors in their place among the answers.
        let answer = session.try_run("SELECT pg_backend_pid()")?;
        session.pid = answer.parse().doing(|| format!("reading the number of a backend from {answer:?}"))?;
        Ok(session)
    }

    /// The number of its backend.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Runs SQL and waits for its answer, as psql prints it; of an error nothing is printed.
    ///
    /// # Panics
    /// When the session has ended.
    #[track_caller]
    pub fn run(&mut self, sql: &str) -> String {
        self.try_run(sql).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The same for a session that may have ended: psql finds out when it is told something.
    pub fn try_run(&mut self, sql: &str) -> Result<String> {
        self.tell(sql)?;
        self.answer()
    }

    /// Sends SQL and does not wait: for a statement that will wait itself.
    ///
    /// # Panics
    /// When the session has ended.
    #[track_caller]
    pub fn send(&mut self, sql: &str) {
        self.tell(sql).unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn tell(&mut self, sql: &str) -> Result<()> {
        write!(self.input, "{sql};\n\\echo '{DONE}'\n").and_then(|()| self.input.flush()).doing(|| "speaking to psql")
    }

    /// Waits for the answer of what was sent before.
    pub fn answer(&mut self) -> Result<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).doing(|| "listening to psql")? == 0 {
                return Err(Failure::new("the session has ended"));
            }
            match line.trim_end_matches('\n') {
                DONE => return Ok(lines.join("\n")),
                line => lines.push(line.to_owned()),
            }
        }
    }
}

impl Drop for PgSession {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
