//! The rules, with the clock handed in: what makes a queue fail, and what must not.

use super::*;
use crate::{
    answer::{Severity, Verdict},
    celery::model::{
        AgeSource, Beside, BucketSample, DeliveredSample, Enqueued, HeldMessage, Inventory, KnownBy, ServerFacts, ServerRole, TaskMessage,
        WorkerHeard,
    },
};

const NOW: i64 = 1_795_290_000;

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(NOW + s).expect("a time")
}

/// One that says nothing of its age.
fn message(tag: &str) -> TaskMessage {
    let raw = format!(
        r#"{{"body":"W10=","content-type":"application/json","headers":{{"task":"mail.send","id":"{tag}"}},"properties":{{"delivery_tag":"{tag}","delivery_info":{{"exchange":"","routing_key":"mail"}}}}}}"#
    );
    crate::celery::decode::envelope::envelope(raw.as_bytes(), &crate::text::Redactor::new(crate::text::MaskKey::from_bytes([7; 32])))
        .expect("a task")
}

fn bucket(waiting: u64, next: Option<TaskMessage>) -> BucketSample {
    BucketSample {
        waiting: Some(waiting),
        bytes_each: Some(1000),
        tail: next.map_or(Tail::None, |m| Tail::Message(Box::new(m))),
        wrong: None,
    }
}

fn queue(buckets: impl IntoIterator<Item = (u8, BucketSample)>) -> QueueSample {
    QueueSample { known: KnownBy::Bound, buckets: buckets.into_iter().collect(), next: Vec::new() }
}

/// A broker with one queue, `mail`.
fn sample(s: i64, mail: QueueSample) -> Sample {
    Sample {
        at: at(s),
        queues: BTreeMap::from([("mail".to_owned(), mail)]),
        delivered: DeliveredSample { count: Some(0), ..DeliveredSample::default() },
        server: None,
        inventory: Inventory { workers: vec!["w1@lab".into()], more: false },
        beside: Beside { bound: true, ..Beside::default() },
    }
}

fn one(waiting: u64, tag: &str) -> QueueSample {
    queue([(0, bucket(waiting, Some(message(tag))))])
}

fn heard(active: u64) -> WorkersHeard {
    let worker = WorkerHeard { name: "w1@lab".into(), active: Some(active), processed: Some(9), per_s: None, load: None, version: None };
    WorkersHeard { listened_s: Some(2.0), heard: vec![worker], ..WorkersHeard::default() }
}

struct Case {
    before: BrokerMemory,
    workers: WorkersHeard,
    elsewhere: Vec<(u64, u64)>,
    keys: Keys,
    thresholds: QueueThresholds,
}

impl Default for Case {
    fn default() -> Self {
        let (before, keys, thresholds) = Default::default();
        Self { before, workers: heard(1), elsewhere: Vec::new(), keys, thresholds }
    }
}

impl Case {
    fn idle() -> Self {
        Self { workers: heard(0), ..Self::default() }
    }

    fn seen(mut self, samples: &[Sample]) -> Self {
        samples.iter().for_each(|sample| remember(&mut self.before, sample));
        self
    }

    fn of(&self, samples: &[Sample]) -> (DepthFacts, Vec<Finding>) {
        let mut memory = self.before.clone();
        samples.iter().for_each(|sample| remember(&mut memory, sample));
        depth(Looked {
            samples,
            before: &self.before,
            memory: &memory,
            workers: self.workers.clone(),
            elsewhere: &self.elsewhere,
            keys: &self.keys,
            db: 0,
            thresholds: &self.thresholds,
            beat: None,
            cost: Cost::default(),
        })
        .expect("there are samples")
    }

    /// The verdict of `mail` and the codes of all findings that are more than a note.
    fn verdict(&self, samples: &[Sample]) -> (Verdict, Vec<&'static str>) {
        let (facts, findings) = self.of(samples);
        let codes = findings.iter().filter(|f| f.severity != Severity::Info).map(|f| f.code).collect();
        (facts.queues[0].verdict, codes)
    }

    fn codes(&self, samples: &[Sample]) -> Vec<&'static str> {
        self.of(samples).1.iter().map(|finding| finding.code).collect()
    }
}

fn aged(tag: &str, seconds_ago: i64) -> TaskMessage {
    TaskMessage { enqueued: Some(Enqueued { at: at(-seconds_ago), by: AgeSource::SentryHeader }), ..message(tag) }
}

#[test]
fn an_empty_queue_is_well_and_one_that_nobody_declares_is_unknown() {
    let empty = queue([(0, bucket(0, None)), (3, bucket(0, None))]);
    assert_eq!(Case::default().verdict(&[sample(-2, empty.clone()), sample(0, empty.clone())]), (Verdict::Ok, vec![]));
    let asked = QueueSample { known: KnownBy::Asked, ..empty };
    assert_eq!(Case::default().verdict(&[sample(0, asked)]), (Verdict::Unknown, vec!["queue-unknown"]));
}

#[test]
fn the_age_decides_where_it_is_known() {
    let of = |before: u64, now: u64, ago: i64| {
        let make = |s, n, tag: &str| sample(s, queue([(0, bucket(n, Some(aged(tag, ago))))]));
        Case::default().verdict(&[make(-2, before, "a"), make(0, now, "b")])
    };
    assert_eq!(of(5, 5, 60), (Verdict::Ok, vec![]));
    assert_eq!(of(5, 5, 121), (Verdict::Warning, vec!["queue-old"]));
    assert_eq!(of(5, 5, 601), (Verdict::Failed, vec!["queue-old"]));
    assert_eq!(of(5, 7, 301), (Verdict::Failed, vec!["queue-grows"]));
    assert_eq!(of(7, 5, 301), (Verdict::Warning, vec!["queue-old"]));
    // 1000 at 1 per second: a quarter of an hour.
    assert_eq!(of(1002, 1000, 1), (Verdict::Warning, vec!["queue-slow"]));
}

#[test]
fn a_queue_is_stuck_only_where_all_workers_are_free() {
    let stuck = [sample(-2, one(41, "a")), sample(0, one(41, "a"))];
    let before = || [sample(-90, one(41, "a"))];
    assert_eq!(Case::idle().seen(&before()).verdict(&stuck), (Verdict::Failed, vec!["queue-stuck"]));
    // It grew meanwhile: nothing was taken all the same.
    assert_eq!(Case::idle().seen(&[sample(-90, one(7, "a"))]).verdict(&stuck), (Verdict::Failed, vec!["queue-stuck"]));
    assert_eq!(Case::default().seen(&before()).verdict(&stuck), (Verdict::Unknown, vec!["queue-still"]));
    // One of two is idle: it may be another queue's.
    let mut two = heard(0);
    two.heard.push(WorkerHeard { name: "w2@lab".into(), active: Some(4), ..two.heard[0].clone() });
    assert_eq!(Case { workers: two, ..Case::default() }.seen(&before()).verdict(&stuck).0, Verdict::Unknown);
    // The next message is another one: something was taken.
    assert_eq!(Case::idle().seen(&[sample(-90, one(41, "z"))]).verdict(&stuck).0, Verdict::Warning);
    assert_eq!(Case::idle().seen(&before()).verdict(&[sample(-2, one(41, "a")), sample(0, one(40, "b"))]).0, Verdict::Ok);
}

#[test]
fn who_listened_for_a_moment_knows_of_nobody_missing() {
    let mut case = Case::idle();
    case.workers.listened_s = Some(0.4);
    case.workers.heard.clear();
    let (facts, _) = case.of(&[sample(-2, one(3, "a")), sample(0, one(3, "a"))]);
    assert_eq!((facts.workers.listened_s, facts.workers.silent.len()), (None, 0));
    assert_eq!(facts.queues[0].verdict, Verdict::Unknown);
    assert_eq!(case.verdict(&[sample(-2, one(3, "a")), sample(0, one(2, "b"))]), (Verdict::Ok, vec![]));
}

#[test]
fn what_an_earlier_run_saw_is_a_lower_bound_of_the_age() {
    let case = Case::default().seen(&[sample(-1020, one(41, "a"))]);
    let (facts, findings) = case.of(&[sample(-2, one(41, "a")), sample(0, one(41, "a"))]);
    let age = facts.queues[0].oldest.as_ref().expect("an age");
    assert_eq!((age.by, age.earlier_run, age.s as i64, age.since), (AgeSource::Seen, true, 1020, at(-1020)));
    assert_eq!((facts.queues[0].verdict, facts.queues[0].why.as_str()), (Verdict::Failed, "same next message as 17m ago"));
    assert!(findings[0].says.contains("at least 17m"), "{}", findings[0].says);
    // Another server's clock, an hour ahead, proves nothing.
    assert_eq!(Case::default().seen(&[sample(3600, one(41, "a"))]).of(&[sample(0, one(41, "a"))]).0.queues[0].oldest, None);
}

#[test]
fn one_look_without_an_age_tells_nothing() {
    let case = Case { workers: WorkersHeard::default(), ..Case::default() };
    assert_eq!(case.verdict(&[sample(0, one(3, "a"))]), (Verdict::Unknown, vec!["queue-once"]));
    // With an earlier run to compare with, it does.
    let (facts, _) = case.seen(&[sample(-100, one(53, "z"))]).of(&[sample(0, one(3, "a"))]);
    assert_eq!((facts.queues[0].net_per_s, facts.queues[0].empty_in_s), (Some(-0.5), Some(6.0)));
    assert_eq!(facts.queues[0].compared_with, Some(at(-100)));
}

#[test]
fn an_estimate_is_marked_and_never_fails_a_queue() {
    let mut case = Case::default();
    case.workers.heard[0].per_s = Some(0.5);
    let (facts, _) = case.of(&[sample(-2, one(800, "a")), sample(0, one(800, "b"))]);
    let age = facts.queues[0].oldest.as_ref().expect("an estimate");
    assert_eq!((age.by, age.s), (AgeSource::Flow, 1600.0));
    assert_eq!(facts.queues[0].verdict, Verdict::Warning);
}

#[test]
fn a_late_eta_is_an_age_and_a_coming_one_is_none() {
    let with = |eta: i64| TaskMessage { eta: Some(at(eta)), ..message("a") };
    let of = |eta| Case::default().of(&[sample(0, queue([(0, bucket(1, Some(with(eta))))]))]).0.queues[0].oldest.clone();
    assert_eq!(of(-30).map(|age| (age.by, age.s)), Some((AgeSource::Eta, 30.0)));
    assert_eq!(of(30), None);
}

#[test]
fn the_oldest_of_all_priorities_counts() {
    let mail = || queue([(0, bucket(1, Some(aged("a", 1)))), (9, bucket(2, Some(aged("b", 700))))]);
    let (facts, _) = Case::default().of(&[sample(-2, mail()), sample(0, mail())]);
    assert_eq!(facts.queues[0].oldest.as_ref().map(|age| age.s), Some(700.0));
    assert_eq!((facts.waiting, facts.queues[0].priorities.len()), (3, 2));
}

#[test]
fn a_low_priority_starves_only_while_a_higher_one_moves() {
    let mail = |high: &str| queue([(0, bucket(9, Some(message(high)))), (6, bucket(30, Some(message("low"))))]);
    let case = Case::default().seen(&[sample(-90, mail("x"))]);
    assert!(case.codes(&[sample(-2, mail("a")), sample(0, mail("b"))]).contains(&"priority-starvation"));
    assert!(!case.codes(&[sample(-2, mail("a")), sample(0, mail("a"))]).contains(&"priority-starvation"));
    // Two seconds are no starvation.
    assert!(!Case::default().codes(&[sample(-2, mail("a")), sample(0, mail("b"))]).contains(&"priority-starvation"));
}

#[test]
fn workers_that_are_known_and_silent() {
    let held = |ago: i64, eta: Option<i64>| {
        let message = TaskMessage { eta: eta.map(at), ..message("t") };
        let oldest = vec![HeldMessage { tag: "t".into(), since: at(-ago), message: Some(message) }];
        let delivered = DeliveredSample { count: Some(4), oldest, ..DeliveredSample::default() };
        let inventory = Inventory { workers: vec!["w1@lab".into(), "dead@lab".into()], more: false };
        Sample { delivered, inventory, ..sample(0, queue([(0, bucket(0, None))])) }
    };
    let codes = Case::default().codes(&[held(60, None)]);
    assert!(codes.contains(&"held-by-dead-worker") && codes.contains(&"silent-workers"), "{codes:?}");
    // Just delivered, or waiting for its ETA: nothing to suspect.
    assert!(!Case::default().codes(&[held(3, None)]).contains(&"held-by-dead-worker"));
    assert!(!Case::default().codes(&[held(60, Some(90))]).contains(&"held-by-dead-worker"));
    // Everybody was heard.
    let all = Sample { inventory: Inventory { workers: vec!["w1@lab".into()], more: false }, ..held(60, None) };
    assert_eq!(Case::default().codes(&[all]), Vec::<&str>::new());
    // Nobody listened.
    let deaf = Case { workers: WorkersHeard::default(), ..Case::default() };
    assert_eq!(deaf.codes(&[held(60, None)]), Vec::<&str>::new());
}

#[test]
fn one_worker_has_fetched_what_others_could_run() {
    let delivered = |count: u64, ago: i64, eta: Option<i64>| {
        let message = TaskMessage { eta: eta.map(at), ..message("t") };
        let oldest = vec![HeldMessage { tag: "t".into(), since: at(-ago), message: Some(message) }];
        let delivered = DeliveredSample { count: Some(count), oldest, ..DeliveredSample::default() };
        let inventory = Inventory { workers: vec!["w1@lab".into(), "w2@lab".into()], more: false };
        Sample { delivered, inventory, ..sample(0, queue([(0, bucket(0, None))])) }
    };
    let mut pair = Case { workers: heard(2), ..Case::default() };
    pair.workers.heard.push(WorkerHeard {
        name: "w2@lab".into(),
        active: Some(0),
        processed: Some(9),
        per_s: None,
        load: None,
        version: None,
    });
    assert_eq!(pair.codes(&[delivered(45, 60, None)]), ["hoarding"]);
    // What prefetching brings by itself, just delivered, waiting for an ETA, or everybody at work.
    assert_eq!(pair.codes(&[delivered(15, 60, None)]), Vec::<&str>::new());
    assert_eq!(pair.codes(&[delivered(45, 3, None)]), Vec::<&str>::new());
    assert_eq!(pair.codes(&[delivered(45, 60, Some(90))]), Vec::<&str>::new());
    pair.workers.heard[1].active = Some(2);
    assert_eq!(pair.codes(&[delivered(45, 60, None)]), Vec::<&str>::new());
}

#[test]
fn what_will_run_twice() {
    let held = |ago: i64, eta: Option<i64>| {
        let message = TaskMessage { eta: eta.map(at), ..message("t") };
        let oldest = vec![HeldMessage { tag: "t".into(), since: at(-ago), message: Some(message) }];
        Sample {
            delivered: DeliveredSample { count: Some(1), oldest, ..DeliveredSample::default() },
            ..sample(0, queue([(0, bucket(0, None))]))
        }
    };
    let codes = |ago, eta| Case::default().codes(&[held(ago, eta)]);
    assert_eq!(codes(5, Some(3700)), ["duplicates-to-come"]);
    assert_eq!(codes(5, Some(3500)), Vec::<&str>::new());
    assert_eq!(codes(3480, None), ["redelivery-near"]);
    assert_eq!(codes(3480, Some(200)), ["duplicates-to-come"]);
    assert_eq!(codes(3480, Some(60)), Vec::<&str>::new());
    assert_eq!(codes(100, None), Vec::<&str>::new());
    let (facts, _) = Case::default().of(&[held(3480, None)]);
    assert_eq!((facts.delivered.redelivery, facts.delivered.timeout_assumed), (Some(at(120)), true));
}

#[test]
fn overdue_redeliveries_and_missing_workers() {
    let overdue = Sample {
        delivered: DeliveredSample { count: Some(2), overdue: Some(2), ..DeliveredSample::default() },
        ..sample(0, queue([(0, bucket(0, None))]))
    };
    assert_eq!(Case::default().codes(&[overdue]), ["redelivery-overdue"]);
    let alone = |n| Sample { inventory: Inventory::default(), ..sample(n, one(4, "a")) };
    let nobody = Case { workers: WorkersHeard { listened_s: Some(2.5), ..WorkersHeard::default() }, ..Case::default() };
    assert_eq!(nobody.verdict(&[alone(-2), alone(0)]), (Verdict::Warning, vec!["no-workers"]));
}

#[test]
fn the_server_keeps_what_it_is_given_or_not() {
    let of = |facts: ServerFacts| {
        let server = Sample { server: Some(facts), ..sample(0, queue([(0, bucket(0, None))])) };
        Case::default().of(&[server]).1.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>()
    };
    let base = || ServerFacts { memory: Some(50), memory_limit: Some(100), eviction: Some("noeviction".into()), ..ServerFacts::default() };
    assert_eq!(of(base()), []);
    assert_eq!(of(ServerFacts { eviction: Some("volatile-lru".into()), ..base() }), []);
    assert_eq!(of(ServerFacts { eviction: Some("allkeys-lru".into()), ..base() }), [("redis-eviction", Severity::Warning)]);
    assert_eq!(
        of(ServerFacts { eviction: Some("allkeys-lru".into()), memory: Some(91), ..base() }),
        [("redis-eviction", Severity::Failed)]
    );
    assert_eq!(
        of(ServerFacts { eviction: Some("allkeys-lru".into()), memory_limit: None, ..base() }),
        [("redis-eviction", Severity::Info)]
    );
    assert_eq!(of(ServerFacts { memory: Some(91), ..base() }), [("redis-memory", Severity::Warning)]);
    assert_eq!(of(ServerFacts { memory: Some(100), ..base() }), [("redis-memory", Severity::Failed)]);
    assert_eq!(of(ServerFacts { snapshot_ok: Some(false), ..base() }), [("redis-snapshot", Severity::Failed)]);
    assert_eq!(of(ServerFacts { log_ok: Some(false), ..base() }), [("redis-log", Severity::Failed)]);
    assert_eq!(of(ServerFacts { role: Some(ServerRole::Replica), ..base() }), [("redis-replica", Severity::Warning)]);
}

#[test]
fn tasks_that_are_somewhere_else() {
    let empty = || sample(0, queue([(0, bucket(0, None))]));
    let case = Case { elsewhere: vec![(1, 812)], ..Case::default() };
    let (_, findings) = case.of(&[empty()]);
    assert_eq!((findings[0].code, findings[0].severity), ("wrong-database", Severity::Unknown));
    assert!(findings[0].says.contains("812 in database 1"), "{}", findings[0].says);
    assert_eq!(Case::default().codes(&[empty()]), Vec::<&str>::new());

    let prefixed = |bound| Sample { beside: Beside { bound, prefixes: vec!["shop:".into()], ..Beside::default() }, ..empty() };
    assert_eq!(
        Case::default().of(&[prefixed(false)]).1.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
        [("other-prefix", Severity::Unknown)]
    );
    assert_eq!(
        Case::default().of(&[prefixed(true)]).1.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
        [("other-prefix", Severity::Info)]
    );

    let named = |name: &str| {
        let list = QueueSample { known: KnownBy::Content, ..one(3, "a") };
        Sample { queues: BTreeMap::from([(name.to_owned(), list)]), ..empty() }
    };
    assert!(Case::default().codes(&[named("mail:3")]).contains(&"other-separator"));
    for well in ["mail", "mail2", "mailing", "other:3"] {
        assert!(!Case::default().codes(&[named(well)]).contains(&"other-separator"), "{well}");
    }
    let leaked = |replies| Sample { beside: Beside { bound: true, replies, ..Beside::default() }, ..empty() };
    assert_eq!(Case::default().codes(&[leaked(12)]), ["leaked-replies"]);
    assert_eq!(Case::default().codes(&[leaked(2)]), Vec::<&str>::new());
}
