//! Several statements of one transaction, sent without waiting in between, each answered by itself: what keeps a transaction short on a
//! slow way. Every one goes by the extended protocol, unnamed, so that the server's Parse takes one statement and no more.

use super::{Postgres, Way, fault};
use crate::{
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use futures_util::future::join_all;
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_postgres::{
    AsyncMessage, Connection, Row,
    types::{ToSql, Type},
};

/// The title of the notice with which a server shows a statement's tree (`debug_print_rewritten`). It is never translated.
pub const TREE: &str = "rewritten parse tree:";
/// No statement that a person explains has a larger tree.
const LARGEST_TREES: usize = 64 << 20;
/// No command of a person sends so many.
const MOST_LOGGED: usize = 10_000;
/// How long a cancel request may take to be sent.
const CANCEL: Duration = Duration::from_secs(3);
/// What a session takes to end once it was told to stop: to cancel what it asked, and then to say good-bye. The command itself has 2 s.
const STOPPING: Duration = Duration::from_millis(1_300);
const LAST: Duration = Duration::from_millis(300);

/// One statement of a burst.
pub struct BurstAsk<'a> {
    /// Its text, one statement.
    pub sql: &'a str,
    /// The values of its parameters.
    pub parameters: Vec<(&'a (dyn ToSql + Sync), Type)>,
    /// Whether it is only parsed and never run.
    pub only_parsed: bool,
}

impl<'a> BurstAsk<'a> {
    /// A statement without parameters.
    pub fn plain(sql: &'a str) -> Self {
        Self::with(sql, Vec::new())
    }
    /// A statement with parameters.
    pub fn with(sql: &'a str, parameters: Vec<(&'a (dyn ToSql + Sync), Type)>) -> Self {
        Self { sql, parameters, only_parsed: false }
    }
    /// A statement that the server is to parse and nothing else.
    pub fn parsed(sql: &'a str) -> Self {
        Self { only_parsed: true, ..Self::plain(sql) }
    }
}

/// Why a statement of a burst has no rows.
#[derive(Debug)]
pub struct BurstFault {
    /// The server's code, where the server said something.
    pub state: Option<String>,
    /// The character of the statement at which the server saw it, counted from one, where it said so.
    pub position: Option<usize>,
    /// As an error.
    pub error: Error,
}

impl BurstFault {
    /// Whether it only says that an earlier statement of the transaction failed.
    pub fn is_aftermath(&self) -> bool {
        self.state.as_deref() == Some("25P02")
    }
}

/// What the server told besides answers.
#[derive(Default)]
pub(super) struct Heard(Mutex<(Vec<String>, usize)>);

impl Heard {
    fn hear(&self, tree: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.1 += tree.len();
        // One that is left out is missed by whoever counts them.
        if heard.1 <= LARGEST_TREES {
            heard.0.push(tree.to_owned());
        }
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).0
    }
}

/// What was sent, in order: the connection's own account, so that nothing can be asked and left out of it.
#[derive(Default)]
pub(super) struct Log(Mutex<Vec<String>>);

impl Log {
    pub(super) fn note<'a>(&self, statements: impl IntoIterator<Item = &'a str>) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_LOGGED.saturating_sub(log.len());
        log.extend(statements.into_iter().take(room).map(str::to_owned));
    }
}

/// Moves the bytes until the session ends, and keeps the trees that the server shows. Its end shows in the next question.
pub(super) async fn drive<S, T>(connection: Connection<S, T>, heard: Arc<Heard>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut connection = pin!(connection);
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notice(notice) = message
            && notice.message() == TREE
        {
            heard.hear(notice.detail().unwrap_or_default());
        }
    }
}

impl Postgres {
    /// Sends all statements at once and waits for all answers, for `patience`. The statements belong to one transaction, which the
    /// caller begins and ends.
    ///
    /// # Errors
    /// `Timeout` when not all answers came in time: the session is of no more use then. `Cancelled` once it was told to stop. What the
    /// server refused stands in its place.
    pub async fn burst(&self, doing: &Safe, asks: &[BurstAsk<'_>], patience: Duration) -> Result<Vec<Result<Vec<Row>, BurstFault>>> {
        self.wanted(doing)?;
        let answers = self.answered(doing, self.ask(asks), patience).await?;
        let told = |error: tokio_postgres::Error| BurstFault {
            state: error.code().map(|code| code.code().to_owned()),
            position: match error.as_db_error().and_then(|said| said.position()) {
                Some(tokio_postgres::error::ErrorPosition::Original(at)) => usize::try_from(*at).ok(),
                _ => None,
            },
            error: fault::of(&error, doing.clone(), &self.redact, None).to(self.provenance()),
        };
        Ok(answers.into_iter().map(|answer| answer.map_err(told)).collect())
    }

    /// The end of a transaction: sent after a stop too, when nobody waits for it for long. Where it fails the session is gone, and its
    /// transaction with it.
    pub async fn last_burst(&self, asks: &[BurstAsk<'_>], patience: Duration) {
        let patience = if self.stop.is_cancelled() { patience.min(LAST) } else { patience };
        let _ = tokio::time::timeout(patience, self.ask(asks)).await;
    }

    async fn ask(&self, asks: &[BurstAsk<'_>]) -> Vec<Result<Vec<Row>, tokio_postgres::Error>> {
        self.log.note(asks.iter().map(|ask| ask.sql));
        join_all(asks.iter().map(|ask| async {
            if ask.only_parsed {
                return self.client.prepare(ask.sql).await.map(|_| Vec::new());
            }
            self.client.query_typed(ask.sql, &ask.parameters).await
        }))
        .await
    }

    fn stopped(&self, doing: &Safe) -> Error {
        Error::new(Kind::Cancelled, doing.clone()).to(self.provenance()).what("stopped")
    }

    /// Whether anybody still wants an answer.
    pub(super) fn wanted(&self, doing: &Safe) -> Result<()> {
        if self.stop.is_cancelled() { Err(self.stopped(doing)) } else { Ok(()) }
    }

    /// Waits for an answer, for `patience`, or until it is told to stop: then what the server is doing is cancelled there, since without
    /// that request it would go on until its own timeout.
    pub(super) async fn answered<T>(&self, doing: &Safe, answer: impl Future<Output = T>, patience: Duration) -> Result<T> {
        let mut answer = pin!(answer);
        tokio::select! {
            answered = tokio::time::timeout(patience, &mut answer) => answered.map_err(|_| {
                Error::new(Kind::Timeout, doing.clone()).to(self.provenance()).what(safe!("no answer within {} s", patience.as_secs()))
            }),
            () = self.stop.cancelled() => {
                let ending = async {
                    let _ = self.cancel().await;
                    answer.await
                };
                let _ = tokio::time::timeout(STOPPING, ending).await;
                Err(self.stopped(doing))
            }
        }
    }

    /// The trees that the server has shown since this was last asked.
    pub fn trees(&self) -> Vec<String> {
        self.heard.take()
    }

    /// Every statement that was sent over this session, in order; text in one message is one. Holds literals: not safe to print.
    pub fn sent(&self) -> Vec<String> {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the session has lasted.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks the server to cancel what this session is doing, over a stream of its own, the same way.
    ///
    /// # Errors
    /// As the way's; that the request arrived does not mean that something was cancelled.
    pub async fn cancel(&self) -> Result<()> {
        let doing = || safe!("cancelling the statement at {}", self.at);
        let send = async {
            let way: &Way = &self.way;
            let (stream, _) = way.dial(&self.host).await?;
            let sent = self.client.cancel_token().cancel_query_raw(stream, way.tls_connect(&self.host.0)?).await;
            sent.map_err(|error| fault::of(&error, doing(), &self.redact, None))
        };
        tokio::time::timeout(CANCEL, send)
            .await
            .map_err(|_| Error::new(Kind::Timeout, doing()).what("the request could not be sent in time"))?
    }
}
