//! The first round trip: which queues there are, which workers made themselves known, what the server says of itself. Where somebody named
//! the queues, the keyspace is not looked through.

use super::Collector;
use crate::{
    answer::{Hint, Why},
    celery::{
        decode,
        keys::{KeyKind, PIDBOX, REPLY_PIDBOX},
        model::{Beside, Inventory, KnownBy, QueueSample, Scanned, ServerFacts, Tail},
    },
    connect::redis::{Raw, Read, Reply},
    error::Result,
    safe,
    text::{Safe, units},
};
use std::collections::{BTreeMap, BTreeSet};

/// Pages of the keyspace that are read at most, beyond the first.
const PAGES: u64 = 20;
/// Keys that the server looks at for the first page, and for each further one: 5 000 keep it busy for some 4 ms.
const FIRST_PAGE: u32 = 1000;
const PAGE: u32 = 5000;
/// What the names of one page may take.
const NAMES_AT_MOST: u64 = 512 << 10;
/// Lists that are looked into at most, to see whether they are queues.
const CANDIDATES: usize = 500;
/// Workers that are named at most, about.
const WORKERS: u32 = 1000;
/// Sets of bindings that are read at most.
const EXCHANGES: usize = 200;
/// The sections of `INFO` that matter to a broker.
const SECTIONS: [&str; 6] = ["server", "memory", "persistence", "replication", "stats", "keyspace"];

/// What is known of a database by the names in it.
#[derive(Default)]
pub(super) struct Names {
    /// What is taken for a queue.
    pub queues: BTreeMap<String, KnownBy>,
    /// Lists that may be queues: their content decides.
    pub candidates: BTreeSet<String>,
    /// Lists that hold something. None: the keyspace was not looked through whole.
    pub filled: Option<BTreeSet<Raw>>,
    /// The sets of bindings that are still to be read.
    pub exchanges: Vec<Raw>,
    /// What else there is.
    pub beside: Beside,
    /// The workers.
    pub inventory: Inventory,
    /// The server.
    pub server: Option<ServerFacts>,
}

impl Names {
    /// A queue, or a list that may be one, that nobody asked for.
    pub(super) fn note(&mut self, queue: &str) {
        let name = Safe::name(queue);
        if !self.queues.contains_key(queue) && self.beside.others.len() < CANDIDATES && !self.beside.others.contains(&name) {
            self.beside.others.push(name);
        }
    }
}

impl Collector<'_> {
    /// Whether arguments name the queues: then no others are counted.
    pub(super) fn asked(&self) -> bool {
        self.named.values().any(|known| *known == KnownBy::Asked)
    }

    /// Looks for names; what is known already stays known.
    pub(super) async fn find_names(&mut self) -> Result<()> {
        let asked = self.asked();
        // Where arguments name the queues, one page tells what else there is; where the configuration does, nobody asks.
        let search = self.named.is_empty() || asked;
        let mut reads = vec![Read::Time, Read::Sscan(self.keys.inventory(), 0, WORKERS)];
        reads.extend(SECTIONS.map(Read::Info));
        if search {
            reads.extend([lists(0, FIRST_PAGE), bindings(0, FIRST_PAGE)]);
        }
        let Some(replies) = self.ask(&reads, NAMES_AT_MOST).await? else {
            self.miss("names of keys".into(), Why::Capped { at: NAMES_AT_MOST }, Some(name_them()));
            self.names.queues.extend(self.named.clone());
            return Ok(());
        };
        self.set_clock(replies.first());
        self.read_inventory(replies.get(1));
        self.read_server(replies.iter().skip(2).take(SECTIONS.len()));
        for (queue, known) in &self.named {
            self.names.queues.entry(queue.clone()).or_insert(*known);
        }
        if search {
            let queues = std::mem::take(&mut self.remembered);
            for queue in queues.into_iter().filter(|_| !asked) {
                self.names.queues.entry(queue).or_insert(KnownBy::Remembered);
            }
            // The exchange of a queue that Celery declared by itself has its name.
            let own: Vec<Raw> = self.named.keys().map(|queue| self.keys.binding(queue)).collect();
            let rest: Vec<Reply> = replies.into_iter().skip(2 + SECTIONS.len()).collect();
            self.search(&rest).await?;
            for key in own {
                if !self.names.exchanges.contains(&key) {
                    self.names.exchanges.push(key);
                }
            }
        }
        Ok(())
    }

    fn read_inventory(&mut self, reply: Option<&Reply>) {
        match reply.and_then(Reply::scan) {
            Some((cursor, found)) => {
                let mut workers: Vec<Safe> =
                    found.iter().filter_map(Reply::bytes).filter_map(|raw| decode::binding::worker(raw, &self.keys.sep).ok()).collect();
                workers.sort();
                workers.dedup();
                self.names.inventory = Inventory { workers, more: cursor != 0 };
            }
            None => {
                if let Some(refusal) = reply.and_then(Reply::refused).cloned() {
                    self.refused("inventory of workers", "SSCAN", &refusal);
                }
            }
        }
    }

    fn read_server<'a>(&mut self, replies: impl Iterator<Item = &'a Reply>) {
        let mut sections = Vec::new();
        for reply in replies {
            if let Some(refusal) = reply.refused().cloned() {
                self.refused("the server itself", "INFO", &refusal);
            }
            sections.extend(reply.bytes());
        }
        self.names.server = Some(decode::info::info(sections));
    }

    /// Goes through the keyspace, page by page. The list of lists and that of bindings go side by side.
    async fn search(&mut self, first: &[Reply]) -> Result<()> {
        let (mut keys, mut sets): (BTreeSet<Raw>, BTreeSet<Raw>) = Default::default();
        let mut cursors = [None, None];
        for ((reply, into), cursor) in first.iter().zip([&mut keys, &mut sets]).zip(&mut cursors) {
            match reply.refused().cloned() {
                Some(refusal) => self.refused("names of queues", "SCAN", &refusal),
                None => *cursor = page(reply, into),
            }
        }
        if cursors == [None, None] && first.iter().all(|reply| reply.refused().is_some()) {
            return Ok(());
        }
        let mut pages = 0;
        while pages < PAGES && !self.asked() {
            let mut reads = Vec::new();
            reads.extend(cursors[0].map(|cursor| lists(cursor, PAGE)));
            reads.extend(cursors[1].map(|cursor| bindings(cursor, PAGE)));
            if reads.is_empty() {
                break;
            }
            pages += 1;
            let Some(replies) = self.ask(&reads, NAMES_AT_MOST).await? else { break };
            let mut replies = replies.iter();
            for (cursor, into) in cursors.iter_mut().zip([&mut keys, &mut sets]) {
                if cursor.is_some() {
                    *cursor = replies.next().and_then(|reply| page(reply, into));
                }
            }
        }
        let whole = cursors == [None, None];
        let looked = u64::from(FIRST_PAGE) + pages * u64::from(PAGE);
        if !whole && !self.asked() {
            let why = Why::Unreachable(safe!("the search ended after about {} keys", units::count(looked)));
            self.miss("names of further queues".into(), why, Some(name_them()));
        }
        self.names.beside = Beside { scanned: Some(Scanned { keys: looked, whole }), ..Beside::default() };
        self.sort_out(&keys, &sets);
        self.names.filled = whole.then_some(keys);
        Ok(())
    }

    /// What the names mean.
    fn sort_out(&mut self, lists: &BTreeSet<Raw>, sets: &BTreeSet<Raw>) {
        let asked = self.asked();
        let Self { keys, names, .. } = self;
        let mut surplus = 0;
        for key in lists {
            match keys.kind(key) {
                KeyKind::Reply { .. } => names.beside.replies += 1,
                KeyKind::Bucket { queue, .. } if asked => names.note(&queue),
                KeyKind::Bucket { queue, .. } if names.queues.contains_key(&queue) || names.candidates.contains(&queue) => {}
                KeyKind::Bucket { queue, .. } if names.candidates.len() < CANDIDATES => {
                    names.candidates.insert(queue);
                }
                KeyKind::Bucket { .. } => surplus += 1,
                _ => names.beside.lists += 1,
            }
        }
        names.exchanges.clear();
        for key in sets {
            match keys.kind(key) {
                KeyKind::Binding { exchange } => {
                    names.beside.bound = true;
                    if exchange != PIDBOX
                        && exchange != REPLY_PIDBOX
                        && !exchange.starts_with("celeryev")
                        && names.exchanges.len() < EXCHANGES
                    {
                        names.exchanges.push(key.clone());
                    }
                }
                _ => {
                    let prefix = key.windows(MARK.len()).position(|part| part == MARK).and_then(|at| key.get(..at)).map(Safe::name);
                    names.beside.prefixes.extend(prefix.filter(|prefix| **prefix != *keys.prefix));
                }
            }
        }
        names.beside.prefixes.sort();
        names.beside.prefixes.dedup();
        if surplus > 0 {
            let why = Why::Unreachable(safe!("only {} lists are looked into to see whether they are queues", CANDIDATES));
            self.miss(safe!("{} further lists", surplus), why, Some(name_them()));
        }
    }

    /// What the contents of the lists have shown: queues stay, what is none is counted and not asked for again.
    pub(super) fn settle(&mut self, looked: BTreeMap<String, QueueSample>) -> BTreeMap<String, QueueSample> {
        let mut queues = BTreeMap::new();
        let mut unclear = Vec::new();
        let Self { names, .. } = self;
        for (name, queue) in looked {
            let candidate = names.candidates.remove(&name);
            if let Some(known) = names.queues.get(&name) {
                queues.insert(name, QueueSample { known: *known, ..queue });
                continue;
            }
            let ends: Vec<_> = queue.filled().map(|(_, bucket)| &bucket.tail).collect();
            if ends.iter().any(|tail| matches!(tail, Tail::Message(_))) {
                names.queues.insert(name.clone(), KnownBy::Content);
                queues.insert(name, QueueSample { known: KnownBy::Content, ..queue });
            } else if ends.iter().any(|tail| matches!(tail, Tail::Unread(_))) {
                unclear.push(Safe::name(&name));
            } else if candidate {
                names.beside.lists += 1;
            }
        }
        for list in &unclear {
            let why = Why::Unreachable("its elements are large, and are not fetched to see whether it is a queue".into());
            self.miss(safe!("list {}", list), why, Some(name_them()));
        }
        self.names.beside.unclear.extend(unclear);
        queues
    }
}

const MARK: &[u8] = b"_kombu.binding.";

/// Any list, whatever its prefix: lists under another one are worth a hint.
fn lists(cursor: u64, count: u32) -> Read {
    Read::Scan { cursor, pattern: b"*".to_vec(), count, of_type: Some("list") }
}

fn bindings(cursor: u64, count: u32) -> Read {
    Read::Scan { cursor, pattern: b"*_kombu.binding.*".to_vec(), count, of_type: Some("set") }
}

fn name_them() -> Hint {
    Hint::Set("broker.queues: [celery, …], or name the queues as arguments".into())
}

/// The next cursor. None: that was the last page.
fn page(reply: &Reply, into: &mut BTreeSet<Raw>) -> Option<u64> {
    let (cursor, found) = reply.scan()?;
    into.extend(found.iter().filter_map(Reply::bytes).map(<[u8]>::to_vec));
    (cursor != 0).then_some(cursor)
}
