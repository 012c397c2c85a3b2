//! Kubernetes' own: `[+]etcd ok`, `[-]etcd failed: reason withheld`, `[+]etcd excluded: ok`, and a last line for the whole.

use super::{Part, Said, words};
use crate::health::model::Condition;

/// None: it is not that form.
pub(super) fn read(text: &str) -> Option<Said> {
    let mut said = Said::default();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let marked = ["[+]", "[-]", "[?]"].into_iter().find_map(|mark| line.strip_prefix(mark).map(|rest| (mark, rest)));
        match marked {
            Some((mark, rest)) => {
                let (name, how) = rest.split_once(' ').unwrap_or((rest, ""));
                let condition = match mark {
                    _ if how.starts_with("excluded") => Condition::Skipped,
                    "[+]" => Condition::Ok,
                    "[-]" => Condition::Failed,
                    _ => Condition::Unknown,
                };
                let says = (condition > Condition::Ok).then(|| how.to_owned());
                said.components.push(Part { name: name.to_owned(), condition, says });
            }
            // `readyz check passed`, `healthz check failed`, and a warning that nothing matched an exclusion.
            None if line.contains(" check ") => {
                let word = line.rsplit(' ').next().unwrap_or_default();
                (said.status, said.condition) = (Some(line.to_owned()), Some(words::condition(word).unwrap_or(Condition::Unknown)));
            }
            None if line.starts_with("warn:") => {}
            None => return None,
        }
    }
    (!said.components.is_empty()).then_some(said)
}
