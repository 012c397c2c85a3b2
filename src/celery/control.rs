//! The control bus: asks all workers at once, without Python. The only writer of obsctl: it needs a leave that a flag makes, it writes a
//! member of one set and a list that workers fill, and it takes both away again, also when it is stopped or cut off; what it could not take
//! away it names. The ID of a conversation tells when it began, so that a later one, from any machine, can clear up after it.

use super::{
    decode::control::{ControlReply, control},
    keys::{Keys, PIDBOX, REPLY_PIDBOX},
    model::{ControlMethod, Leftover},
};
use crate::{
    answer::Hint,
    connect::redis::{Raw, Read, Redis, Refusal, Reply, Write, WriteLeave},
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const ASKING: &str = "asking the workers";
/// What the ID of a conversation begins with.
const OURS: &str = "obsctl-";
/// A conversation that began longer ago has ended without clearing up.
const STALE: u64 = 3600;
/// So many of them are cleared up in one run.
const MOST_STALE: usize = 100;
/// What clearing up may take, a second attempt included: a stop leaves two seconds.
const CLEARING: Duration = Duration::from_millis(1500);
/// So many answers are fetched in one round trip.
const AT_ONCE: u64 = 64;

/// What is asked, and how long answers are waited for.
#[derive(Clone, Debug)]
pub struct ControlQuestion {
    /// The methods.
    pub methods: Vec<ControlMethod>,
    /// A worker that has not answered within this is called silent.
    pub patience: Duration,
}

/// How a conversation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TalkEnd {
    /// Every subscriber has answered everything.
    Answered,
    /// Patience ended first.
    Patience,
    /// It was stopped.
    Stopped,
    /// The connection broke.
    Broken(Safe),
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    /// How many workers heard the question: so many are connected to the bus.
    pub subscribers: u64,
    /// Whether they were asked for the tasks that they hold beside those that they run.
    pub tasks: bool,
    /// What they answered.
    pub replies: Vec<ControlReply>,
    /// Why some answers could not be read.
    pub unread: Vec<Safe>,
    /// How it ended.
    pub ended: TalkEnd,
    /// From the question to the last answer.
    pub took: Duration,
    /// What could not be taken away.
    pub left: Option<Leftover>,
    /// How many older conversations were cleared up.
    pub cleared: usize,
}

/// Asks all workers.
///
/// # Errors
/// `Denied` where the server does not let the question be asked: a replica, a full or broken disk, a missing right; else as `Redis::ask`.
/// Whatever was written before is taken away.
pub async fn talk(redis: &Redis, keys: &Keys, leave: WriteLeave, question: &ControlQuestion, stop: &CancellationToken) -> Result<Talk> {
    let bindings = keys.binding(REPLY_PIDBOX);
    let replies = redis.ask(&[Read::Time, Read::Sscan(bindings.clone(), 0, 1000)]).await?;
    let now = replies.first().and_then(|time| time.list().first()?.count()).unwrap_or_default();
    let stale = stale(replies.get(1), keys, now);
    let desk = Desk::new(keys, now);
    let mut talk = Talk {
        subscribers: 0,
        tasks: question.methods.contains(&ControlMethod::Reserved),
        replies: Vec::new(),
        unread: Vec::new(),
        ended: TalkEnd::Answered,
        took: Duration::ZERO,
        left: None,
        cleared: stale.len(),
    };
    let begun = Instant::now();
    let asked = tokio::select! {
        biased;
        asked = timeout(question.patience, converse(redis, keys, leave, question, &desk, &stale, &mut talk)) => asked,
        () = stop.cancelled() => {
            redis.hang_up().await;
            talk.ended = TalkEnd::Stopped;
            Ok(Ok(()))
        }
    };
    talk.took = begun.elapsed();
    let refused = match asked {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            talk.ended = TalkEnd::Broken(error.says());
            // Before anybody was asked there is nothing to tell.
            (talk.subscribers == 0).then_some(error)
        }
        Err(_) => {
            // A wait for answers is still open on that connection.
            redis.hang_up().await;
            talk.ended = TalkEnd::Patience;
            None
        }
    };
    let left = clear(redis, leave, &desk).await;
    match (refused, left) {
        (Some(error), Some(left)) => Err(error.hint(Hint::Run(left.command))),
        (Some(error), None) => Err(error),
        (None, left) => Ok(Talk { left, ..talk }),
    }
}

/// The two places of a conversation.
struct Desk {
    oid: String,
    bindings: Raw,
    member: Raw,
    answers: Raw,
}

impl Desk {
    fn new(keys: &Keys, now: u64) -> Self {
        let mut random = RandomState::new().build_hasher();
        random.write_u64(now);
        Self::of(keys, format!("{OURS}{now}-{:016x}", random.finish()))
    }

    fn of(keys: &Keys, oid: String) -> Self {
        let member = format!("{oid}{sep}{sep}{oid}.{REPLY_PIDBOX}", sep = keys.sep).into_bytes();
        Self { bindings: keys.binding(REPLY_PIDBOX), member, answers: keys.reply(&oid), oid }
    }

    /// In this order: what comes too late must find no binding, or it would make the list again.
    fn clearing(&self) -> [Write; 2] {
        [Write::Srem(self.bindings.clone(), self.member.clone()), Write::Del(self.answers.clone())]
    }
}

/// The conversations of obsctl's that ended without clearing up.
fn stale(bindings: Option<&Reply>, keys: &Keys, now: u64) -> Vec<Desk> {
    let members = bindings.and_then(Reply::scan).map_or(&[][..], |(_, members)| members);
    let oid = |member: &Reply| {
        let oid = std::str::from_utf8(member.bytes()?).ok()?.split(&*keys.sep).next()?.to_owned();
        let began: u64 = oid.strip_prefix(OURS)?.split('-').next()?.parse().ok()?;
        (began + STALE < now).then_some(oid)
    };
    members.iter().filter_map(oid).take(MOST_STALE).map(|oid| Desk::of(keys, oid)).collect()
}

async fn converse(
    redis: &Redis,
    keys: &Keys,
    leave: WriteLeave,
    question: &ControlQuestion,
    desk: &Desk,
    stale: &[Desk],
    talk: &mut Talk,
) -> Result<()> {
    let mut writes: Vec<Write> = stale.iter().flat_map(Desk::clearing).collect();
    writes.push(Write::Sadd(desk.bindings.clone(), desk.member.clone()));
    let replies = redis.write(leave, &writes).await?;
    if let Some(refusal) = replies.last().and_then(Reply::refused) {
        return Err(refused(redis, refusal, "SADD").await);
    }
    let channel = keys.control_channel(redis.db());
    let publish = |method| Write::Publish(channel.clone(), message(method, &desk.oid));
    let heard = redis.write(leave, &question.methods.iter().map(publish).collect::<Vec<_>>()).await?;
    if let Some(refusal) = heard.iter().find_map(Reply::refused) {
        return Err(refused(redis, refusal, "PUBLISH").await);
    }
    talk.subscribers = heard.iter().filter_map(Reply::count).max().unwrap_or_default();
    let mut expected: u64 = heard.iter().filter_map(Reply::count).sum();
    while expected > 0 {
        // What is there already is fetched at once; only an empty list is waited for.
        let there = redis.ask(&[Read::Llen(desk.answers.clone())]).await?.first().and_then(Reply::count).unwrap_or_default();
        let count = there.clamp(1, AT_ONCE.min(expected));
        let wait = u32::try_from(question.patience.as_secs() + 1).unwrap_or(u32::MAX);
        let fetch: Vec<_> = (0..count).map(|_| Write::Brpop(desk.answers.clone(), if there == 0 { wait } else { 1 })).collect();
        for reply in redis.write(leave, &fetch).await? {
            if let Some(refusal) = reply.refused() {
                return Err(refused(redis, refusal, "BRPOP").await);
            }
            let Some(raw) = reply.list().get(1).and_then(Reply::bytes) else { continue };
            expected -= 1;
            match control(raw, &question.methods, redis.redactor()) {
                Ok(reply) => talk.replies.push(reply),
                Err(undecodable) => talk.unread.push(undecodable.0),
            }
        }
    }
    Ok(())
}

/// The question as kombu's mailbox sends it. Its ticket comes back with each answer, and says to which method it belongs.
fn message(method: &ControlMethod, oid: &str) -> Raw {
    let arguments = match method {
        ControlMethod::QueryTask(ids) => json!({ "ids": ids }),
        _ => json!({}),
    };
    let body = json!({
        "method": method.name(),
        "arguments": arguments,
        "destination": null,
        "pattern": null,
        "matcher": null,
        "ticket": method.name(),
        "reply_to": {"exchange": REPLY_PIDBOX, "routing_key": oid},
    });
    let properties = json!({
        "body_encoding": "base64",
        "delivery_info": {"exchange": PIDBOX, "routing_key": ""},
        "delivery_mode": 2,
        "delivery_tag": oid,
    });
    let message = json!({
        "body": STANDARD.encode(body.to_string()),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {},
        "properties": properties,
    });
    message.to_string().into_bytes()
}

/// Takes away what was written. A connection that broke is opened again for it.
async fn clear(redis: &Redis, leave: WriteLeave, desk: &Desk) -> Option<Leftover> {
    let clearing = desk.clearing();
    let attempts = async {
        for _ in 0..2 {
            if let Ok(replies) = redis.write(leave, &clearing).await {
                return replies.iter().all(|reply| reply.refused().is_none());
            }
        }
        false
    };
    if timeout(CLEARING, attempts).await.unwrap_or(false) {
        return None;
    }
    let command = |write: &Write| safe!("redis-cli -n {} {}", redis.db(), write.shown());
    let command = Safe::join(&clearing.each_ref().map(command), " && ");
    Some(Leftover { keys: vec![Safe::name(&desk.bindings), Safe::name(&desk.answers)], command })
}

/// The server does not let us ask.
async fn refused(redis: &Redis, refusal: &Refusal, command: &'static str) -> Error {
    let error = Error::new(Kind::Denied, ASKING).to(redis.provenance().await);
    let says = safe!("{} {}", refusal.code, refusal.says);
    match refusal.code.as_str() {
        "READONLY" => error
            .what(safe!("{}: this is a replica, and workers listen on the primary", says))
            .hint(Hint::Set("broker.url: the primary, or the sentinels that know it".into())),
        "MISCONF" => error
            .what(safe!("{}: Redis takes no writes because it cannot save; publishers get the same refusal", says))
            .hint(Hint::Run("redis-cli INFO persistence".into())),
        "OOM" => error
            .what(safe!("{}: Redis is full; publishers get the same refusal", says))
            .hint(Hint::Run("redis-cli INFO memory".into())),
        "NOPERM" => error.what(safe!("may not run {}: {}", command, says)).hint(Hint::Try(
            "ACL SETUSER … %RW~_kombu.binding.reply.celery.pidbox %RW~*.reply.celery.pidbox &/*.celery.pidbox +publish +sadd +srem +brpop +del"
                .into(),
        )),
        _ => error.what(safe!("{}: {}", command, says)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_old_conversations_are_stale() {
        let keys = Keys::default();
        let member = |oid: &str| Reply::Bytes(Desk::of(&keys, oid.into()).member);
        let found =
            [member("obsctl-1000-aa"), member("obsctl-9000-bb"), member("b8f4d5c2-0000-4000-8000-000000000000"), member("obsctl-x-cc")];
        let scanned = Reply::List(vec![Reply::Bytes(b"0".to_vec()), Reply::List(found.into())]);
        let stale: Vec<String> = stale(Some(&scanned), &keys, 10_000).into_iter().map(|desk| desk.oid).collect();
        assert_eq!(stale, ["obsctl-1000-aa"]);
    }

    #[test]
    fn two_conversations_have_two_places() {
        let keys = Keys { prefix: "shop:".into(), ..Keys::default() };
        let (one, other) = (Desk::new(&keys, 5), Desk::new(&keys, 5));
        assert_ne!(one.oid, other.oid);
        assert!(String::from_utf8_lossy(&one.answers).starts_with("shop:obsctl-5-"));
        assert!(one.answers.ends_with(b".reply.celery.pidbox"));
    }
}
