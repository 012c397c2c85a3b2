//! What health endpoints said, target by target. Serialize only: this is public JSON.

use crate::{
    answer::{Exchange, exchange::Certificate},
    text::Safe,
};
use jiff::Timestamp;
use serde::Serialize;

pub use crate::config::Dialect;

/// How well something is, ranked: the worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Not asked.
    Skipped,
    /// Well.
    Ok,
    /// It works, and something is to look at.
    Degraded,
    /// What it says is not understood, or nothing was said.
    Unknown,
    /// It does not work.
    Failed,
}

/// One part that an endpoint speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name, as it was said.
    pub name: Safe,
    /// How it is.
    pub condition: Condition,
    /// What was said of it, where that is more than the condition.
    pub says: Option<Safe>,
}

/// A body that says how something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthBody {
    /// Its form.
    pub dialect: Dialect,
    /// Its own word for the whole.
    pub status: Option<Safe>,
    /// What that word means.
    pub condition: Option<Condition>,
    /// The parts.
    pub components: Vec<Component>,
    /// The version that it names.
    pub version: Option<Safe>,
    /// What in it cannot both be true.
    pub contradictions: Vec<Safe>,
}

/// Why an answer says nothing about health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotHealth {
    /// A page of a proxy, which got no answer itself.
    ProxyPage(Safe),
    /// A page that asks for a password, or the way to one.
    Login,
    /// Django refuses the Host of the request.
    HostRefused,
    /// Django sends everything to https.
    SecureRedirect,
    /// A redirect elsewhere.
    Redirect(Safe),
    /// It wants to know who asks.
    Unauthorized,
    /// There is no such path.
    NoSuchPath,
    /// It accepts no GET.
    NoGet,
    /// An HTML page, by its title.
    Page(Safe),
    /// Compressed, though it was asked not to be.
    Compressed,
    /// Longer than is read, and only whole it would make sense.
    TooLong,
    /// Neither text nor JSON of any known form.
    Gibberish,
}

/// What an answer turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyRead {
    /// It says how something is.
    Health(HealthBody),
    /// It does not.
    NotHealth(NotHealth),
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A URL, from outside.
    Url,
    /// One pod, through its own tunnel.
    Pod,
    /// Nobody: a container as Docker sees it.
    Container,
}

/// One target and all that was learnt of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetHealth {
    /// Its name: a URL, or a pod.
    pub name: Safe,
    /// Which of the two.
    pub asked: Asked,
    /// The app or workload that it belongs to.
    pub app: Option<Safe>,
    /// What was asked of it: the path, and whose idea that was.
    pub question: Option<Safe>,
    /// How the question went; none where there was no way to ask.
    pub exchange: Option<Exchange>,
    /// What the answer was.
    pub body: Option<BodyRead>,
    /// The worst of the status, the body's own word and its components.
    pub condition: Condition,
    /// What it runs.
    pub version: Option<Safe>,
    /// What the cluster says of the pod.
    pub pod: Option<PodStanding>,
    /// Why it was not asked, where it was not.
    pub unasked: Option<Safe>,
}

impl TargetHealth {
    /// Its health body, if it sent one.
    pub fn health(&self) -> Option<&HealthBody> {
        match &self.body {
            Some(BodyRead::Health(body)) => Some(body),
            _ => None,
        }
    }
    /// Its certificate, if it showed one.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.exchange.as_ref().and_then(|e| e.certificate.as_ref())
    }
}

/// What the cluster says of a pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PodStanding {
    /// Whether it takes requests.
    pub ready: bool,
    /// Since when it does, or does not.
    pub since: Option<Timestamp>,
    /// Whether it is still within the time that its startupProbe gives it.
    pub starting: bool,
    /// Whether it is so new that it need not be ready yet. What it says of itself counts all the same.
    pub new: bool,
    /// Whether it is on its way out.
    pub leaving: bool,
    /// How often its containers were restarted.
    pub restarts: u32,
    /// Why it is where it is: events, the end of the container before.
    pub why: Vec<Safe>,
    /// The tag of its image.
    pub image: Option<Safe>,
}

/// What kind of thing was asked by obsctl itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// A PostgreSQL database.
    Database,
    /// Redis: cache or broker.
    Redis,
    /// The workers of the queues.
    Workers,
}

/// What obsctl saw when it asked a part itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenHere {
    /// What it is.
    pub kind: PartKind,
    /// Which one, as the configuration calls it: `main`, `broker`.
    pub name: Safe,
    /// How it is.
    pub condition: Condition,
    /// What was seen: `PONG in 3 ms, primary`.
    pub says: Safe,
}

/// Everything `obsctl health` found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HealthFacts {
    /// When it was asked.
    pub observed_at: Option<Timestamp>,
    /// The targets, URLs first.
    pub targets: Vec<TargetHealth>,
    /// With `--deep`: the parts, as obsctl found them itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_here: Vec<SeenHere>,
    /// What changed lately, as lines; filled in where something is wrong.
    pub changes: Vec<Safe>,
}
