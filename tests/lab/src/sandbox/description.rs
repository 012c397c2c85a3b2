//! What the sandbox consists of, as `production.json` says it, and the filling of its `{placeholders}`.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use crate::failure::{Doing, Failure, Result};

pub type Values = BTreeMap<String, String>;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub release: String,
    /// By name: a placeholder for each.
    pub passwords: Values,
    /// Secrets and the keys in them.
    pub secrets: BTreeMap<String, Values>,
    /// ConfigMaps and the keys in them.
    pub config: BTreeMap<String, Values>,
    pub processes: Vec<Part>,
}

/// One program: its name is its app's label, its Deployment's and Service's name, and the beginning of its log files' names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub name: String,
    #[serde(default = "one")]
    pub replicas: usize,
    /// Runs once to its end.
    #[serde(default)]
    pub job: bool,
    #[serde(default = "everywhere")]
    pub r#where: Vec<Where>,
    /// In a pod; a local process gets a free one.
    pub port: Option<u16>,
    pub command: Vec<String>,
    /// Secrets and ConfigMaps whose keys become variables; a later one wins.
    #[serde(default)]
    pub env_from: Vec<String>,
    /// Folders on which a ConfigMap appears as files.
    #[serde(default)]
    pub mounts: Values,
    /// It works on a copy of the initialised data folder.
    #[serde(default)]
    pub data: bool,
    /// It has an empty folder, `{scratch}`, that belongs to its user.
    #[serde(default)]
    pub scratch: bool,
    /// It refuses to run as root.
    pub user: Option<String>,
    #[serde(default)]
    pub needs: Vec<String>,
    /// The memory at which the kernel ends it.
    pub memory: Option<String>,
    pub ready: Option<Ready>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Where {
    Local,
    Pods,
}

/// How one sees that it is ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    Tcp,
    Http(String),
    /// Asked by the kubelet, which believes any certificate; a local process is ready when its port answers.
    Https(String),
    Log(String),
}

fn one() -> usize {
    1
}

fn everywhere() -> Vec<Where> {
    vec![Where::Local, Where::Pods]
}

impl Description {
    pub fn read() -> Result<Self> {
        let path = super::sources().join("production.json");
        let text = fs::read(&path).doing(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).doing(|| format!("reading {}", path.display()))
    }

    pub fn parts(&self, here: Where) -> impl Iterator<Item = &Part> {
        self.processes.iter().filter(move |part| part.r#where.contains(&here))
    }

    pub fn part(&self, name: &str) -> Result<&Part> {
        self.processes.iter().find(|part| part.name == name).ok_or_else(|| Failure::new(format!("production.json has no process {name}")))
    }

    /// The variables of a part, with their placeholders.
    pub fn variables(&self, part: &Part) -> Result<Values> {
        let mut variables = Values::new();
        for name in &part.env_from {
            let group =
                self.secrets.get(name).or_else(|| self.config.get(name)).ok_or_else(|| {
                    Failure::new(format!("{} takes its environment from {name}, which production.json has not", part.name))
                })?;
            variables.extend(group.clone());
        }
        Ok(variables)
    }
}

/// Puts the values in. A brace that names nothing is a mistake in the description.
pub fn fill(text: &str, values: &Values) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, behind) = after.split_once('}').ok_or_else(|| Failure::new(format!("an open brace in {text:?}")))?;
        filled.push_str(values.get(name).ok_or_else(|| Failure::new(format!("nothing is known as {{{name}}} in {text:?}")))?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{Description, Values, Where, fill};

    #[test]
    fn the_description_fits_together() {
        let description = Description::read().unwrap();
        for part in &description.processes {
            description.variables(part).unwrap();
            for need in &part.needs {
                description.part(need).unwrap();
            }
            for map in part.mounts.values() {
                assert!(description.config.contains_key(map), "{map}");
            }
        }
        assert!(description.parts(Where::Local).all(|part| part.memory.is_none()));
    }

    #[test]
    fn placeholders_are_filled_and_mistakes_are_named() {
        let values = Values::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(fill("x{a}y{a}", &values).unwrap(), "x1y1");
        assert!(fill("{b}", &values).unwrap_err().to_string().contains("{b}"));
        assert!(fill("{a", &values).is_err());
    }
}
