//! One ID on its way from the question to the whole story: a request's, a trace's, or a task's, which leads to the request that sent it.

use super::{
    links::{self, Trace, id_of},
    next,
};
use crate::{
    answer::Step,
    logs::{
        decode,
        model::Record,
        query::{Predicate, Query},
    },
};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// What is known under one ID, and what has to be read next.
pub struct Story {
    /// What was asked for: an ID or the beginning of one.
    pub asked: String,
    /// Everything that belongs to it so far.
    pub trace: Trace,
    question: Option<Query>,
    /// The task that was asked for, and the request that it led to.
    task: Option<String>,
    request: Option<String>,
    turned: bool,
}

impl Story {
    /// Asked by the beginning of an ID.
    pub fn new(asked: &str, base: &Query, fields: &Arc<[String]>) -> Self {
        Self::begin(asked, base, Predicate::subject(fields, asked), false)
    }

    /// Of exactly this request.
    pub fn of_request(id: &str, base: &Query, fields: &Arc<[String]>) -> Self {
        let mut story = Self::begin(id, base, Predicate::request(fields, id), true);
        story.request = Some(id.to_owned());
        story
    }

    fn begin(asked: &str, base: &Query, wanted: Predicate, turned: bool) -> Self {
        // Its own readings have an end, also where somebody follows beside them.
        let mut question = Query { follow: false, ..base.clone() };
        question.want.push(wanted);
        Self { asked: asked.to_owned(), trace: Trace::default(), question: Some(question), task: None, request: None, turned }
    }

    /// What has to be read next; none when the story is whole.
    pub fn question(&self) -> Option<&Query> {
        self.question.as_ref()
    }

    /// Takes the records that its question admits.
    pub fn take(&mut self, records: &[Record], zone: &TimeZone) {
        let Some(question) = &self.question else { return };
        let admitted = records.iter().filter(|r| question.admits(r, &decode::entry(&r.head, zone)));
        self.trace.add(admitted.cloned().collect(), zone);
    }

    /// Takes followed records that belong to it, and asks for what they lead to.
    pub fn hear(&mut self, records: &[Record], base: &Query, fields: &Arc<[String]>, zone: &TimeZone) {
        let known: Vec<Predicate> = self.known_tasks().map(|id| Predicate::task(&id)).collect();
        let own = match &self.request {
            Some(id) => Predicate::request(fields, id),
            None => Predicate::subject(fields, &self.asked),
        };
        let wanted = Predicate::Any(known.into_iter().chain([own]).collect());
        let before = self.trace.hits.len();
        self.question = Some(Query { want: vec![wanted], ..base.clone() });
        self.take(records, zone);
        self.question = None;
        if self.trace.hits.len() > before {
            // A task that was asked for may lead to its request only now.
            self.turned = self.request.is_some() || self.task.is_some();
            self.advance(base, fields);
        }
    }

    /// Goes on to the next question.
    pub fn advance(&mut self, base: &Query, fields: &Arc<[String]>) {
        if !std::mem::replace(&mut self.turned, true) && self.trace.ids(fields, &self.asked).is_empty() {
            let tasks = self.trace.tasks(&self.asked);
            if let [task] = tasks.as_slice() {
                self.trace.belongs(task);
                self.task = Some(task.clone());
                if let [request] = self.trace.requests_of(task, fields).as_slice() {
                    self.request = Some(request.clone());
                    // The next question is for both; the task's lines need no reading of their own.
                    self.trace.asked.insert(task.clone());
                    let wanted = Predicate::Any(vec![Predicate::request(fields, request), Predicate::task(task)]);
                    self.question = Some(Query { want: vec![wanted], ..base.clone() });
                    return;
                }
            }
        }
        let subject = self.subject().to_owned();
        self.question = match next(&mut self.trace, base, fields, &subject) {
            Step::Ask(question) => Some(question),
            Step::Done(()) => None,
        };
    }

    /// The ID that its lines are recognised by.
    pub fn subject(&self) -> &str {
        self.request.as_deref().unwrap_or(&self.asked)
    }

    /// The task that was asked for, where it was one.
    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    /// The IDs that begin as asked: requests, else tasks. More than one is no answer but a question.
    pub fn candidates(&self, fields: &[String]) -> Vec<String> {
        let mut ids = self.trace.ids(fields, self.subject());
        if self.request.is_none() && self.task.is_none() && ids.is_empty() {
            ids = self.trace.tasks(&self.asked);
        }
        ids.retain(|id| self.request.as_ref().is_none_or(|r| r == id));
        ids
    }

    /// The tasks that are known so far.
    pub fn known_tasks(&self) -> impl Iterator<Item = String> {
        self.trace.proofs.keys().cloned()
    }
}

impl Trace {
    /// The whole task IDs that begin with what was asked.
    pub fn tasks(&self, asked: &str) -> Vec<String> {
        let mut ids: Vec<String> =
            self.hits.iter().filter_map(|h| h.what.task()).map(|t| t.id.clone()).filter(|id| id.starts_with(asked)).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Makes a task part of the story though no line ties it to a request.
    fn belongs(&mut self, task: &str) {
        self.proofs.insert(task.to_owned(), crate::answer::LinkProof::Certain);
    }

    /// The requests that lines of this task name; of several fields on a line, the first one counts.
    fn requests_of(&self, task: &str, fields: &[String]) -> Vec<String> {
        let of_task = self.hits.iter().filter(|h| h.what.task().is_some_and(|t| t.id == task));
        let mut ids: Vec<String> = of_task.filter_map(|h| id_of(&h.entry, fields, "")).filter(|id| !id.is_empty() && id != task).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// The first request ID that a record carries.
pub fn request_of(record: &Record, fields: &[String], zone: &TimeZone) -> Option<String> {
    links::id_of(&decode::entry(&record.head, zone), fields, "").filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{model::LogOrigin, query::REQUEST_ID_FIELDS};

    fn tell(asked: &str, lines: &[&str]) -> (Story, Vec<usize>) {
        let fields: Arc<[String]> = REQUEST_ID_FIELDS.map(str::to_owned).into();
        let origin = Arc::new(LogOrigin { namespace: Some("ns".into()), name: "p".into(), ..LogOrigin::default() });
        let records: Vec<Record> = lines
            .iter()
            .enumerate()
            .map(|(i, l)| Record {
                at: jiff::Timestamp::from_second(1_795_000_000 + i as i64).ok(),
                origin: origin.clone(),
                sequence: i as u64,
                head: l.to_string().into(),
                tail: vec![],
                nearby: false,
            })
            .collect();
        let base = Query::default();
        let mut story = Story::new(asked, &base, &fields);
        let mut counts = Vec::new();
        while story.question().is_some() {
            story.take(&records, &TimeZone::UTC);
            counts.push(story.trace.hits.len());
            story.advance(&base, &fields);
        }
        (story, counts)
    }

    const LINES: [&str; 5] = [
        r#"{"event": "request_started", "request_id": "req-1111-2222"}"#,
        r#"{"event": "task_enqueued", "request_id": "req-1111-2222", "child_task_id": "7ec25367-0c7c", "queue": "mail"}"#,
        r#"{"event": "task_started", "task_id": "7ec25367-0c7c"}"#,
        r#"{"event": "Task mail.send[7ec25367-0c7c] succeeded in 1.5s: None"}"#,
        r#"{"event": "request_started", "request_id": "req-1111-3333"}"#,
    ];

    #[test]
    fn a_task_leads_to_its_request() {
        let (story, counts) = tell("7ec253", &LINES);
        assert_eq!(counts, [3, 4]);
        assert_eq!((story.subject(), story.task()), ("req-1111-2222", Some("7ec25367-0c7c")));
        assert_eq!(story.candidates(&["request_id".to_owned()]), ["req-1111-2222"]);
    }

    #[test]
    fn a_task_that_no_request_names_is_told_alone() {
        let (story, counts) = tell("7ec253", &LINES[2..4]);
        assert_eq!((counts.last(), story.subject(), story.task()), (Some(&2), "7ec253", Some("7ec25367-0c7c")));
        assert!(story.candidates(&["request_id".to_owned()]).is_empty());
    }

    #[test]
    fn a_request_is_told_as_before_and_two_that_begin_alike_are_a_question() {
        let (story, counts) = tell("req-1111-2", &LINES);
        assert_eq!((counts, story.task()), (vec![2, 4], None));
        let (story, _) = tell("req-1111", &LINES);
        assert_eq!(story.candidates(&["request_id".to_owned()]), ["req-1111-2222", "req-1111-3333"]);
    }
}
