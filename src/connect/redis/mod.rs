//! One Redis server: typed reads in one round trip, a subscription, and the few writes of the control bus behind a leave. Every wait has a
//! deadline; a connection that broke is opened again, once, because reads can be asked twice. Knows nothing of Celery.
#![expect(clippy::disallowed_methods, reason = "waits a moment before it asks a server again that still loads its data")]

mod command;
mod fault;
mod reply;

pub use command::{Raw, Read, Write, WriteLeave};
pub use reply::{Refusal, Reply};

use super::stream::{Budget, Duplex, Metered, Traffic};
use crate::{
    answer::Provenance,
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use futures_util::{StreamExt, future::BoxFuture};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value,
    aio::{MultiplexedConnection, PubSub},
};
use secrecy::{ExposeSecret, SecretString};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, task::JoinSet};

/// How long a connection may take until the server knows who we are.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the answers to one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a server that loads its data set is waited for.
const LOADING: Duration = Duration::from_secs(3);
/// What an answer may have where its asker names no limit.
const LARGEST: u64 = 64 << 20;

/// A stream to a server, and which server it turned out to be: behind sentinels the name changes.
pub struct Dialled {
    /// The stream.
    pub stream: Box<dyn Duplex>,
    /// `redis-0:6379`, without credentials.
    pub at: Safe,
}

/// Opens a stream to the server; called again for each further connection, so that a tunnel or a failover finds its new way.
pub type Dial = Arc<dyn Fn() -> BoxFuture<'static, Result<Dialled>> + Send + Sync>;

/// Who we are to a server, and where in it.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The user; none is the default user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The number of the database.
    pub db: u64,
}

/// A Redis server that answers.
pub struct Redis {
    dial: Dial,
    login: Login,
    redact: Redactor,
    traffic: Arc<Traffic>,
    live: Mutex<Option<Live>>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    at: Safe,
    /// What the answer being read may have.
    budget: Arc<Budget>,
    /// Ends the connection's driver with its last user.
    _driver: Arc<JoinSet<()>>,
}

impl Redis {
    /// Connects and says who we are.
    ///
    /// # Errors
    /// `Unreachable`, `Tls`, `Timeout`; `Auth` for a wrong or missing password; `Denied` where the user may not even select the database.
    pub async fn open(dial: Dial, login: Login, redact: Redactor) -> Result<Self> {
        let redis = Self { dial, login, redact, traffic: Arc::default(), live: Mutex::new(None) };
        redis.live().await?;
        Ok(redis)
    }

    /// The same server, another database: hints look there.
    pub fn in_db(&self, db: u64) -> Self {
        let login = Login { db, ..self.login.clone() };
        Self { dial: self.dial.clone(), login, redact: self.redact.clone(), traffic: self.traffic.clone(), live: Mutex::new(None) }
    }

    /// What went over its connections.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
    /// The number of its database.
    pub fn db(&self) -> u64 {
        self.login.db
    }
    /// Hides secrets in what it said.
    pub fn redactor(&self) -> &Redactor {
        &self.redact
    }
    /// Which server answers now; empty before the first connection.
    pub async fn at(&self) -> Safe {
        self.live.lock().await.as_ref().map(|live| live.at.clone()).unwrap_or_default()
    }
    /// Where its facts come from.
    pub async fn provenance(&self) -> Provenance {
        Provenance { system: "redis", at: safe!("{} db {}", self.at().await, self.login.db), through: None }
    }

    /// Asks all of it in one round trip. The answers stand in the order of the questions; one that the server refused is a `Refused`.
    ///
    /// # Errors
    /// `Unreachable` when the connection broke twice, `Timeout`, `Auth`, `Protocol`.
    pub async fn ask(&self, reads: &[Read]) -> Result<Vec<Reply>> {
        match self.ask_at_most(reads, LARGEST).await? {
            Some(replies) => Ok(replies),
            None => Err(self.fail(Kind::Protocol, "asking Redis").await.what("the answer is larger than 64 MiB")),
        }
    }

    /// The same, where an answer of more bytes than this is not read: none. The connection is then given up, since the rest of the answer
    /// is still on its way.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_at_most(&self, reads: &[Read], bytes: u64) -> Result<Option<Vec<Reply>>> {
        if reads.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let words: Vec<_> = reads.iter().map(Read::words).collect();
        let loading = tokio::time::Instant::now() + LOADING;
        let mut again = true;
        loop {
            let live = self.live().await?;
            live.budget.allow(bytes);
            match self.send(&live, &words).await {
                Ok(values) if is_loading(&values) && tokio::time::Instant::now() < loading => {
                    tokio::time::sleep(Duration::from_millis(200)).await
                }
                Ok(values) if is_loading(&values) => return Err(fault::loading(&live.at)),
                Ok(values) => return Ok(Some(values.into_iter().map(|v| Reply::of(v, &self.redact)).collect())),
                Err(_) if live.budget.exceeded() => {
                    self.forget().await;
                    return Ok(None);
                }
                Err(error) => {
                    self.forget().await;
                    if !again || error.kind() != Kind::Unreachable {
                        return Err(error);
                    }
                    again = false;
                }
            }
        }
    }

    /// Changes something: only for the control bus. Never repeated.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn write(&self, _leave: WriteLeave, writes: &[Write]) -> Result<Vec<Reply>> {
        let live = self.live().await?;
        live.budget.allow(LARGEST);
        let words: Vec<_> = writes.iter().map(Write::words).collect();
        let patience: u32 = writes.iter().map(|w| if let Write::Brpop(_, s) = w { *s } else { 0 }).sum();
        match self.send_within(&live, &words, ANSWER + Duration::from_secs(patience.into())).await {
            Ok(values) => Ok(values.into_iter().map(|v| Reply::of(v, &self.redact)).collect()),
            Err(error) => {
                self.forget().await;
                Err(error)
            }
        }
    }

    /// Subscribes to a pattern of channels, on a connection of its own.
    ///
    /// # Errors
    /// As `open`; `Denied` where the user may not subscribe to it.
    pub async fn listen(&self, pattern: &[u8]) -> Result<Subscription> {
        let dialled = self.dial().await?;
        let at = dialled.at.clone();
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(password) = &self.login.password {
            info = info.set_password(password.expose_secret());
        }
        if let Some(user) = &self.login.user {
            info = info.set_username(user);
        }
        let counted = Metered { inner: dialled.stream, traffic: self.traffic.clone(), budget: Arc::new(Budget::of(LARGEST)) };
        let opening = async {
            let mut pubsub = PubSub::new(&info, counted).await?;
            pubsub.psubscribe(pattern).await?;
            Ok(pubsub)
        };
        match tokio::time::timeout(CONNECT, opening).await {
            Ok(Ok(pubsub)) => Ok(Subscription(pubsub)),
            Ok(Err(error)) => Err(fault::of(&error, "subscribing to Redis", &at, &self.redact)),
            Err(_) => Err(fault::late("subscribing to Redis", &at, CONNECT)),
        }
    }

    async fn live(&self) -> Result<Live> {
        let mut slot = self.live.lock().await;
        if let Some(live) = &*slot {
            return Ok(live.clone());
        }
        let live = self.connect().await?;
        *slot = Some(live.clone());
        Ok(live)
    }

    async fn forget(&self) {
        *self.live.lock().await = None;
    }

    async fn dial(&self) -> Result<Dialled> {
        tokio::time::timeout(CONNECT, (self.dial)())
            .await
            .unwrap_or_else(|_| Err(fault::late("connecting to Redis", &"it".into(), CONNECT)))
    }

    async fn connect(&self) -> Result<Live> {
        let Dialled { stream, at } = self.dial().await?;
        let budget = Arc::new(Budget::of(LARGEST));
        let counted = Metered { inner: stream, traffic: self.traffic.clone(), budget: budget.clone() };
        // The deadlines are ours; the crate's own default of half a second is too short for a busy server.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        // Without a login the crate sends nothing by itself: ours goes below, so that its refusal keeps the server's own words.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, counted, config)
            .await
            .map_err(|e| fault::of(&e, "connecting to Redis", &at, &self.redact))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let live = Live { connection, at, budget, _driver: Arc::new(tasks) };
        self.greet(&live).await?;
        Ok(live)
    }

    /// Says who we are: AUTH, SELECT and the name that `CLIENT LIST` will show, in one round trip.
    async fn greet(&self, live: &Live) -> Result<()> {
        let mut words: Vec<Vec<Raw>> = Vec::new();
        if let Some(password) = &self.login.password {
            let mut auth = vec![b"AUTH".to_vec()];
            auth.extend(self.login.user.iter().map(|user| user.clone().into_bytes()));
            auth.push(password.expose_secret().as_bytes().to_vec());
            words.push(auth);
        }
        // Asked in any case: it is what tells a server that wants a password from one that does not.
        words.push(vec![b"SELECT".to_vec(), self.login.db.to_string().into_bytes()]);
        // A user without this right is served all the same.
        words.push([&b"CLIENT"[..], b"SETNAME", b"obsctl"].map(<[u8]>::to_vec).to_vec());
        let needed = words.len() - 1;
        let values = self.send_within(live, &words, CONNECT).await?;
        for (value, command) in values.iter().take(needed).zip(&words) {
            if let Value::ServerError(error) = value {
                let name = command.first().map(Safe::name).unwrap_or_default();
                return Err(fault::of_login(error, &name, &self.login, &live.at, &self.redact));
            }
        }
        Ok(())
    }

    async fn send(&self, live: &Live, words: &[Vec<Raw>]) -> Result<Vec<Value>> {
        self.send_within(live, words, ANSWER).await
    }

    async fn send_within(&self, live: &Live, words: &[Vec<Raw>], within: Duration) -> Result<Vec<Value>> {
        let mut pipeline = Pipeline::with_capacity(words.len());
        for command in words {
            let mut cmd = Cmd::new();
            command.iter().for_each(|word| {
                cmd.arg(&word[..]);
            });
            pipeline.add_command(cmd);
        }
        self.traffic.round_trip();
        let mut connection = live.connection.clone();
        let values = match tokio::time::timeout(within, connection.send_packed_commands(&pipeline, 0, words.len())).await {
            Err(_) => return Err(fault::late("asking Redis", &live.at, within)),
            Ok(Err(error)) => return Err(fault::of(&error, "asking Redis", &live.at, &self.redact)),
            Ok(Ok(values)) => values,
        };
        if let Some(moved) =
            values.iter().find_map(|v| if let Value::ServerError(e) = v { fault::is_cluster(e).then_some(e) } else { None })
        {
            return Err(fault::cluster(moved, &live.at, &self.redact));
        }
        Ok(values)
    }

    async fn fail(&self, kind: Kind, doing: &'static str) -> Error {
        Error::new(kind, doing).to(self.provenance().await)
    }
}

/// Whether a server that has just started still reads its data.
fn is_loading(values: &[Value]) -> bool {
    values.iter().any(|v| matches!(v, Value::ServerError(e) if e.code() == "LOADING"))
}

/// A subscription; it ends with its connection.
pub struct Subscription(PubSub);

impl Subscription {
    /// The next message: its channel and its bytes. None: the connection ended.
    pub async fn next(&mut self) -> Option<(Raw, Raw)> {
        let message = self.0.on_message().next().await?;
        Some((message.get_channel_name().as_bytes().to_vec(), message.get_payload_bytes().to_vec()))
    }
}
