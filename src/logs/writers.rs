//! Lines → records for one lane: mostly of one writer, of several where the lane's input names them.

use super::{
    flow::{
        group::Grouper,
        keep::{Keeper, Seen},
    },
    model::{LogOrigin, Record},
    query::Query,
    source::LogLine,
};
use std::{collections::HashMap, sync::Arc};

/// The writers of one lane.
pub(super) struct Writers {
    query: Arc<Query>,
    id_fields: Arc<[String]>,
    all: Vec<(Arc<LogOrigin>, Grouper, Keeper)>,
    /// The places of those beside the first, by the address of their origin, which is kept.
    known: HashMap<usize, usize>,
    recalls: bool,
}

impl Writers {
    /// The lane's own writer comes first. Where the source `recalls`, what is there already is narrowed by `--tail` before it is followed.
    pub(super) fn new(own: Arc<LogOrigin>, query: Arc<Query>, id_fields: Arc<[String]>, recalls: bool) -> Self {
        let mut writers = Self { query, id_fields, all: Vec::new(), known: HashMap::new(), recalls };
        writers.add(own);
        writers
    }

    fn add(&mut self, origin: Arc<LogOrigin>) -> usize {
        let mut keeper = Keeper::new(self.query.clone(), self.id_fields.clone());
        if self.recalls {
            keeper.recalls();
        }
        self.all.push((origin.clone(), Grouper::new(origin), keeper));
        self.all.len() - 1
    }

    fn place(&mut self, of: Option<Arc<LogOrigin>>) -> usize {
        let Some(origin) = of else { return 0 };
        let address = Arc::as_ptr(&origin) as usize;
        if let Some(at) = self.known.get(&address) {
            return *at;
        }
        let at = self.add(origin);
        self.known.insert(address, at);
        at
    }

    /// Takes a line, of the lane's own writer where no other is named; whether it ended a record.
    pub(super) fn line(&mut self, of: Option<Arc<LogOrigin>>, line: LogLine, kept: &mut Vec<Record>) -> bool {
        let at = self.place(of);
        self.all.get_mut(at).is_some_and(|writer| Self::take(writer, line, kept))
    }

    /// The same for many.
    pub(super) fn lines(&mut self, of: Option<Arc<LogOrigin>>, lines: impl IntoIterator<Item = LogLine>, kept: &mut Vec<Record>) {
        let at = self.place(of);
        let Some(writer) = self.all.get_mut(at) else { return };
        for line in lines {
            Self::take(writer, line, kept);
        }
    }

    fn take((_, grouper, keeper): &mut (Arc<LogOrigin>, Grouper, Keeper), line: LogLine, kept: &mut Vec<Record>) -> bool {
        let ended = grouper.push(line.at, line.text);
        let any = ended.is_some();
        if let Some(record) = ended {
            keeper.push(record, &mut |r| kept.push(r));
        }
        any
    }

    /// Lines that were searched and hold no hit.
    pub(super) fn skipped(&mut self) {
        self.all.iter_mut().take(1).for_each(|(_, _, keeper)| keeper.skipped());
    }

    /// Whether a record is open that a further line could belong to.
    pub(super) fn pending(&self) -> bool {
        self.all.iter().any(|(_, grouper, _)| grouper.pending())
    }

    /// Nothing followed in time: the open records are whole.
    pub(super) fn close(&mut self, kept: &mut Vec<Record>) {
        for (_, grouper, keeper) in &mut self.all {
            if let Some(record) = grouper.finish() {
                keeper.push(record, &mut |r| kept.push(r));
            }
        }
    }

    /// All that was there already has come: the newest of it.
    pub(super) fn caught_up(&mut self, kept: &mut Vec<Record>) {
        self.recalls = false;
        self.all.iter_mut().for_each(|(_, _, keeper)| keeper.caught_up(&mut |r| kept.push(r)));
    }

    /// The open records, and the newest of all under `--tail`.
    pub(super) fn finish(&mut self, kept: &mut Vec<Record>) {
        self.close(kept);
        self.all.iter_mut().for_each(|(_, _, keeper)| keeper.finish(&mut |r| kept.push(r)));
    }

    /// What was seen on the way.
    pub(super) fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        for (origin, _, keeper) in &self.all {
            seen.join(keeper.seen(origin.app.clone().unwrap_or_else(|| origin.name.clone())));
        }
        seen
    }
}
