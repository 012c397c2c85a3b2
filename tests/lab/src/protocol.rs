//! What is said between a test and the holder: one JSON line per request, one per answer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sandbox::Profile;

/// `{"need":"cluster"}`, `{"apiserver":"stop"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Starts a part if it is not up, and answers how to reach it.
    Need(Part),
    Apiserver(Switch),
    /// `{"kubelet":"stop"}`: the node goes silent, its containers go on.
    Kubelet(Switch),
    /// `{"process":{"sandbox":"a","name":"celery-mail-1","switch":"stop"}}`: SIGKILL, a new start, or one after it has ended in order.
    Process {
        sandbox: Profile,
        name: String,
        switch: Switch,
    },
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Cluster,
    /// `{"need":{"sandbox":"a"}}`: as local processes, one for each log profile.
    Sandbox(Profile),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    Stop,
    Start,
    Restart,
}

/// `{"ok":…}` or `{"error":"…"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Ok(Value),
    Error(String),
}

/// Where a warm lab is: the content of the file that `OBSCTL_LAB` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    pub pid: i32,
    pub start: u64,
    pub socket: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::{Answer, Part, Request, Switch};

    #[test]
    fn the_lines_are_what_the_docs_say() {
        let need: Request = serde_json::from_str(r#"{"need":"cluster"}"#).unwrap();
        assert_eq!(need, Request::Need(Part::Cluster));
        let stop: Request = serde_json::from_str(r#"{"apiserver":"stop"}"#).unwrap();
        assert_eq!(stop, Request::Apiserver(Switch::Stop));
        assert_eq!(serde_json::to_string(&Answer::Error("no".into())).unwrap(), r#"{"error":"no"}"#);
    }
}
