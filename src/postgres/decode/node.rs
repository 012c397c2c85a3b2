//! The members of one node of a plan → [`PlanNode`]. What has no field is kept by the server's own name.

use super::pass::{JsonPass, number_of, text_of};
use crate::{
    error::{Error, Kind, Result},
    postgres::model::{
        Actual, BlockCounts, Buffers, Expression, HashUse, HeapBlocks, IoTime, NodeId, PlanNode, PlanWorker, Relationship, Removed,
        SortUse, Workers,
    },
    text::{Redactor, Safe},
};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

macro_rules! keys {
    ($($key:ident = $name:literal),* $(,)?) => {
        /// A key that has a field.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(super) enum PlanKey { $($key),* }

        impl PlanKey {
            const ALL: [(Self, &'static str); [$($name),*].len()] = [$((Self::$key, $name)),*];
        }
    };
}

// The conditions come first, in the order in which a reader wants them.
keys! {
    IndexCond = "Index Cond",
    RecheckCond = "Recheck Cond",
    TidCond = "TID Cond",
    HashCond = "Hash Cond",
    MergeCond = "Merge Cond",
    JoinFilter = "Join Filter",
    Filter = "Filter",
    OneTimeFilter = "One-Time Filter",
    OrderBy = "Order By",
    SortKey = "Sort Key",
    PresortedKey = "Presorted Key",
    GroupKey = "Group Key",
    GroupingSets = "Grouping Sets",
    HashKey = "Hash Key",
    CacheKey = "Cache Key",
    FunctionCall = "Function Call",
    TableFunctionCall = "Table Function Call",
    ConflictFilter = "Conflict Filter",
    RunCondition = "Run Condition",
    Output = "Output",
    NodeType = "Node Type",
    ParentRelationship = "Parent Relationship",
    SubplanName = "Subplan Name",
    PartialMode = "Partial Mode",
    Strategy = "Strategy",
    JoinType = "Join Type",
    Operation = "Operation",
    ParallelAware = "Parallel Aware",
    Disabled = "Disabled",
    Schema = "Schema",
    RelationName = "Relation Name",
    Alias = "Alias",
    IndexName = "Index Name",
    ScanDirection = "Scan Direction",
    CteName = "CTE Name",
    FunctionName = "Function Name",
    StartupCost = "Startup Cost",
    TotalCost = "Total Cost",
    PlanRows = "Plan Rows",
    PlanWidth = "Plan Width",
    ActualStartupTime = "Actual Startup Time",
    ActualTotalTime = "Actual Total Time",
    ActualRows = "Actual Rows",
    ActualLoops = "Actual Loops",
    RemovedByFilter = "Rows Removed by Filter",
    RemovedByJoinFilter = "Rows Removed by Join Filter",
    RemovedByRecheck = "Rows Removed by Index Recheck",
    HeapFetches = "Heap Fetches",
    ExactHeapBlocks = "Exact Heap Blocks",
    LossyHeapBlocks = "Lossy Heap Blocks",
    IndexSearches = "Index Searches",
    SortMethod = "Sort Method",
    SortSpaceUsed = "Sort Space Used",
    SortSpaceType = "Sort Space Type",
    HashBatches = "Hash Batches",
    HashAggBatches = "HashAgg Batches",
    OriginalHashBatches = "Original Hash Batches",
    PeakMemoryUsage = "Peak Memory Usage",
    DiskUsage = "Disk Usage",
    SharedHit = "Shared Hit Blocks",
    SharedRead = "Shared Read Blocks",
    SharedDirtied = "Shared Dirtied Blocks",
    SharedWritten = "Shared Written Blocks",
    LocalHit = "Local Hit Blocks",
    LocalRead = "Local Read Blocks",
    LocalDirtied = "Local Dirtied Blocks",
    LocalWritten = "Local Written Blocks",
    TempRead = "Temp Read Blocks",
    TempWritten = "Temp Written Blocks",
    IoRead = "I/O Read Time",
    IoWrite = "I/O Write Time",
    SharedIoRead = "Shared I/O Read Time",
    SharedIoWrite = "Shared I/O Write Time",
    LocalIoRead = "Local I/O Read Time",
    LocalIoWrite = "Local I/O Write Time",
    TempIoRead = "Temp I/O Read Time",
    TempIoWrite = "Temp I/O Write Time",
    WorkersPlanned = "Workers Planned",
    WorkersLaunched = "Workers Launched",
    WorkerNumber = "Worker Number",
    Workers = "Workers",
}

/// The first keys, up to this many, are conditions and sort, group or hash keys.
const EXPRESSIONS: usize = PlanKey::Output as usize + 1;

/// A plan of thousands of nodes has a hundred thousand keys; few have the same length.
static BY_LENGTH: LazyLock<Vec<Vec<(PlanKey, &'static str)>>> = LazyLock::new(|| {
    let longest = PlanKey::ALL.iter().map(|(_, name)| name.len()).max().unwrap_or(0);
    (0..=longest).map(|length| PlanKey::ALL.into_iter().filter(|(_, name)| name.len() == length).collect()).collect()
});

impl PlanKey {
    fn of(name: &str) -> Option<Self> {
        BY_LENGTH.get(name.len())?.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
    }
}

/// The order in which a server writes its keys is the same at all nodes: what followed a key once is tried first the next time.
pub(super) struct KeyOrder {
    after: [Option<PlanKey>; PlanKey::ALL.len()],
    last: PlanKey,
}

impl KeyOrder {
    pub(super) fn new() -> Self {
        Self { after: [None; PlanKey::ALL.len()], last: PlanKey::NodeType }
    }

    fn key(&mut self, name: &str) -> Option<PlanKey> {
        let guess = self.after[self.last as usize].filter(|key| PlanKey::ALL[*key as usize].1 == name);
        let key = guess.or_else(|| PlanKey::of(name))?;
        self.after[self.last as usize] = Some(key);
        self.last = key;
        Some(key)
    }
}

/// Texts without secrets. The partitions of a table repeat each other's conditions: what was looked through once is only copied again.
pub(super) struct SafeTexts<'t> {
    redact: &'t Redactor,
    seen: HashMap<&'t str, Safe>,
}

impl<'t> SafeTexts<'t> {
    pub(super) fn new(redact: &'t Redactor) -> Self {
        Self { redact, seen: HashMap::new() }
    }

    /// What a value says, in words.
    fn of(&mut self, value: &'t str) -> Safe {
        self.seen.entry(value).or_insert_with(|| self.redact.safe(words(value).as_bytes())).clone()
    }
}

/// The members of a node, or of one of its workers, as they stand in the text.
pub(super) struct PlanFields<'t> {
    known: [Option<&'t str>; PlanKey::ALL.len()],
    other: Vec<(Cow<'t, str>, &'t str)>,
}

impl<'t> PlanFields<'t> {
    pub(super) fn new() -> Self {
        Self { known: [None; PlanKey::ALL.len()], other: Vec::new() }
    }

    /// Takes a member; of two of one name the last counts.
    pub(super) fn add(&mut self, name: Cow<'t, str>, value: &'t str, order: &mut KeyOrder) {
        match order.key(&name) {
            Some(key) => self.known[key as usize] = Some(value),
            None => self.other.push((name, value)),
        }
    }

    /// A number; what is none stays, to be kept by its name.
    fn number(&mut self, key: PlanKey) -> Option<f64> {
        let slot = &mut self.known[key as usize];
        let number = slot.and_then(number_of);
        if number.is_some() {
            *slot = None;
        }
        number
    }

    fn count(&mut self, key: PlanKey) -> Option<u64> {
        self.number(key).map(|n| n as u64)
    }

    fn text(&mut self, key: PlanKey) -> Option<Cow<'t, str>> {
        let slot = &mut self.known[key as usize];
        let text = slot.and_then(text_of);
        if text.is_some() {
            *slot = None;
        }
        text
    }

    fn owned(&mut self, key: PlanKey) -> Option<String> {
        self.text(key).map(Cow::into_owned)
    }

    fn name(&mut self, key: PlanKey) -> Option<Safe> {
        self.text(key).map(|text| Safe::name(text.as_bytes()))
    }

    fn flag(&mut self, key: PlanKey) -> bool {
        self.known[key as usize].take() == Some("true")
    }

    fn expressions(&mut self, texts: &mut SafeTexts<'t>) -> Vec<Expression> {
        let slots = self.known.iter_mut().zip(&PlanKey::ALL).take(EXPRESSIONS);
        slots.filter_map(|(slot, (_, name))| Some(Expression { name, text: texts.of(slot.take()?) })).collect()
    }

    fn actual(&mut self) -> Option<Actual> {
        let loops = self.number(PlanKey::ActualLoops)?;
        Some(Actual {
            startup_ms: self.number(PlanKey::ActualStartupTime),
            total_ms: self.number(PlanKey::ActualTotalTime),
            rows: self.number(PlanKey::ActualRows).unwrap_or(0.0),
            loops,
        })
    }

    fn sort(&mut self, texts: &mut SafeTexts<'t>) -> Option<SortUse> {
        let method = texts.of(self.known[PlanKey::SortMethod as usize].take()?);
        let kilobytes = self.count(PlanKey::SortSpaceUsed).unwrap_or(0);
        let on_disk = self.text(PlanKey::SortSpaceType).is_some_and(|t| t == "Disk");
        Some(SortUse { method, kilobytes, on_disk })
    }

    fn hash(&mut self) -> Option<HashUse> {
        let batches = self.count(PlanKey::HashBatches).or_else(|| self.count(PlanKey::HashAggBatches));
        let disk = self.count(PlanKey::DiskUsage);
        if batches.is_none() && disk.is_none() {
            return None;
        }
        Some(HashUse {
            batches: batches.unwrap_or(0),
            original_batches: self.count(PlanKey::OriginalHashBatches),
            memory_kb: self.count(PlanKey::PeakMemoryUsage).unwrap_or(0),
            disk_kb: disk.unwrap_or(0),
        })
    }

    /// What was read and written; none where nothing says so.
    pub(super) fn buffers(&mut self) -> Option<Buffers> {
        use PlanKey::{
            LocalDirtied, LocalHit, LocalRead, LocalWritten, SharedDirtied, SharedHit, SharedRead, SharedWritten, TempRead, TempWritten,
        };
        let mut any = false;
        let mut blocks = |key| {
            let n = self.count(key);
            any |= n.is_some();
            n.unwrap_or(0)
        };
        let all = Buffers {
            shared: BlockCounts {
                hit: blocks(SharedHit),
                read: blocks(SharedRead),
                dirtied: blocks(SharedDirtied),
                written: blocks(SharedWritten),
            },
            local: BlockCounts {
                hit: blocks(LocalHit),
                read: blocks(LocalRead),
                dirtied: blocks(LocalDirtied),
                written: blocks(LocalWritten),
            },
            temp: BlockCounts { read: blocks(TempRead), written: blocks(TempWritten), ..BlockCounts::default() },
        };
        any.then_some(all)
    }

    /// Up to 16 one pair for relations, from 17 on split by shared and local; 15 added the temporary files.
    fn io(&mut self) -> Option<IoTime> {
        use PlanKey::{IoRead, IoWrite, LocalIoRead, LocalIoWrite, SharedIoRead, SharedIoWrite, TempIoRead, TempIoWrite};
        let mut any = false;
        let mut sum = |keys: &[PlanKey]| {
            keys.iter().filter_map(|key| self.number(*key)).fold(0.0, |all, ms| {
                any = true;
                all + ms
            })
        };
        let all = IoTime {
            read_ms: sum(&[IoRead, SharedIoRead, LocalIoRead]),
            write_ms: sum(&[IoWrite, SharedIoWrite, LocalIoWrite]),
            temp_read_ms: sum(&[TempIoRead]),
            temp_write_ms: sum(&[TempIoWrite]),
        };
        any.then_some(all)
    }

    /// The workers; a list that is none is kept by its name.
    fn workers(&mut self) -> Vec<PlanFields<'t>> {
        let Some(list) = self.known[PlanKey::Workers as usize] else { return Vec::new() };
        let Ok(workers) = members_of_each(list) else { return Vec::new() };
        self.known[PlanKey::Workers as usize] = None;
        workers
    }

    /// What no field took. Nothing is left here then, and the next node can be read into it.
    fn kept(&mut self, texts: &mut SafeTexts<'t>) -> BTreeMap<String, Safe> {
        let mut kept = BTreeMap::new();
        for (slot, (_, name)) in self.known.iter_mut().zip(&PlanKey::ALL) {
            if let Some(value) = slot.take() {
                kept.insert((*name).to_owned(), texts.of(value));
            }
        }
        kept.extend(self.other.drain(..).map(|(name, value)| (name.into_owned(), texts.of(value))));
        kept
    }
}

/// The members of each object of a list; what is no object is left out.
fn members_of_each(list: &str) -> Result<Vec<PlanFields<'_>>> {
    let mut pass = JsonPass::new(list);
    pass.expect(b'[')?;
    let mut all = Vec::new();
    while pass.element()? {
        match pass.peek() {
            Some(b'{') => all.push(members(&mut pass)?),
            _ => drop(pass.value()?),
        }
    }
    Ok(all)
}

/// The members of the object that comes next.
pub(super) fn members<'t>(pass: &mut JsonPass<'t>) -> Result<PlanFields<'t>> {
    pass.expect(b'{')?;
    let (mut fields, mut order) = (PlanFields::new(), KeyOrder::new());
    while let Some(name) = pass.member()? {
        fields.add(name, pass.value()?, &mut order);
    }
    Ok(fields)
}

/// The place of a node in its plan.
pub(super) struct NodePlace {
    pub(super) parent: Option<NodeId>,
    pub(super) children: Vec<NodeId>,
    pub(super) depth: usize,
}

/// A node of its members, which are taken.
pub(super) fn node<'t>(fields: &mut PlanFields<'t>, place: NodePlace, texts: &mut SafeTexts<'t>) -> Result<PlanNode> {
    use PlanKey as K;
    let kind = fields.owned(K::NodeType).ok_or_else(|| Error::new(Kind::Protocol, "reading a plan").what("a node without its type"))?;
    let relationship = match fields.text(K::ParentRelationship).as_deref() {
        None => Relationship::Root,
        Some("Inner") => Relationship::Inner,
        Some("Member") => Relationship::Member,
        Some("Subquery") => Relationship::Subquery,
        Some("InitPlan") => Relationship::InitPlan,
        Some("SubPlan") => Relationship::SubPlan,
        Some(_) => Relationship::Outer,
    };
    let mut sorts: Vec<SortUse> = fields.sort(texts).into_iter().collect();
    let mut hash = fields.hash();
    let mut by_worker = Vec::new();
    for mut worker in fields.workers() {
        sorts.extend(worker.sort(texts));
        // What a worker's hash table went to disk with counts like the leader's.
        if let Some(part) = worker.hash() {
            let all = hash.get_or_insert_default();
            all.batches = all.batches.max(part.batches);
            all.memory_kb = all.memory_kb.max(part.memory_kb);
            all.disk_kb += part.disk_kb;
        }
        by_worker.push(PlanWorker { number: worker.count(K::WorkerNumber).unwrap_or(0), actual: worker.actual() });
    }
    let (exact, lossy) = (fields.count(K::ExactHeapBlocks), fields.count(K::LossyHeapBlocks));
    Ok(PlanNode {
        parent: place.parent,
        children: place.children,
        depth: place.depth,
        relationship,
        subplan: fields.name(K::SubplanName),
        kind,
        partial_mode: fields.owned(K::PartialMode),
        strategy: fields.owned(K::Strategy),
        join_type: fields.owned(K::JoinType),
        operation: fields.owned(K::Operation),
        parallel_aware: fields.flag(K::ParallelAware),
        disabled: fields.flag(K::Disabled),
        schema: fields.name(K::Schema),
        relation: fields.name(K::RelationName),
        alias: fields.name(K::Alias),
        index: fields.name(K::IndexName),
        backward: fields.text(K::ScanDirection).is_some_and(|d| d == "Backward"),
        cte: fields.name(K::CteName),
        function: fields.name(K::FunctionName),
        expressions: fields.expressions(texts),
        startup_cost: fields.number(K::StartupCost).unwrap_or(0.0),
        total_cost: fields.number(K::TotalCost).unwrap_or(0.0),
        plan_rows: fields.number(K::PlanRows).unwrap_or(0.0),
        plan_width: fields.count(K::PlanWidth).unwrap_or(0),
        actual: fields.actual(),
        removed: Removed {
            by_filter: fields.number(K::RemovedByFilter).unwrap_or(0.0),
            by_join_filter: fields.number(K::RemovedByJoinFilter).unwrap_or(0.0),
            by_recheck: fields.number(K::RemovedByRecheck).unwrap_or(0.0),
        },
        heap_fetches: fields.count(K::HeapFetches),
        heap_blocks: (exact.is_some() || lossy.is_some()).then(|| HeapBlocks { exact: exact.unwrap_or(0), lossy: lossy.unwrap_or(0) }),
        index_searches: fields.count(K::IndexSearches),
        sorts,
        hash,
        buffers: fields.buffers(),
        io: fields.io(),
        workers: fields.count(K::WorkersPlanned).map(|planned| Workers { planned, launched: fields.count(K::WorkersLaunched) }),
        by_worker,
        other: fields.kept(texts),
    })
}

/// A value in words: a list is joined as the text form does.
pub(super) fn words(raw: &str) -> Cow<'_, str> {
    if let Some(text) = text_of(raw) {
        return text;
    }
    let mut pass = JsonPass::new(raw);
    if pass.expect(b'[').is_err() {
        return Cow::Borrowed(raw);
    }
    let mut joined = String::with_capacity(raw.len());
    while let Ok(true) = pass.element() {
        let Ok(value) = pass.value() else { break };
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        match text_of(value) {
            Some(text) => joined.push_str(&text),
            // Lists of lists are rare, and never deep.
            None => joined.push_str(&serde_json::from_str(value).map_or_else(|_| value.to_owned(), |value| joined_words(&value))),
        }
    }
    Cow::Owned(joined)
}

fn joined_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(joined_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
