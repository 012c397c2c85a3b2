//! Users with exactly the rights that a test gives them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::failure::{Doing, Result};

/// One rule of a role, in kubectl's words.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    verbs: &'a str,
    resources: &'a str,
}

/// `rule("get,list", "pods,pods/log")`, `rule("get", "deployments.apps")`.
pub const fn rule<'a>(verbs: &'a str, resources: &'a str) -> Rule<'a> {
    Rule { verbs, resources }
}

/// A Role and its binding to a subject.
pub(crate) fn role(namespace: &str, name: &str, subject: &Value, rules: &[Rule<'_>]) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    list(&metadata, "Role", "RoleBinding", subject, rules)
}

/// A ClusterRole and its binding to the user of the same name.
pub(crate) fn cluster_role(name: &str, rules: &[Rule<'_>]) -> Value {
    list(&json!({"name": name}), "ClusterRole", "ClusterRoleBinding", &user(name), rules)
}

pub(crate) fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

pub(crate) fn service_account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}

fn list(metadata: &Value, role: &str, binding: &str, subject: &Value, rules: &[Rule<'_>]) -> Value {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let rules: Vec<Value> = rules.iter().flat_map(Rule::expand).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": version, "kind": role, "metadata": metadata, "rules": rules},
        {"apiVersion": version, "kind": binding, "metadata": metadata, "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": role, "name": metadata["name"]}},
    ]})
}

impl Rule<'_> {
    /// `deployments.apps/scale` is the subresource `scale` of `deployments` in the group `apps`. The group differs between
    /// resources, so each becomes a rule of its own.
    fn expand(&self) -> Vec<Value> {
        let verbs: Vec<&str> = self.verbs.split(',').collect();
        self.resources
            .split(',')
            .map(|resource| {
                let (name, sub) = resource.split_once('/').map_or((resource, None), |(name, sub)| (name, Some(sub)));
                let (kind, group) = name.split_once('.').unwrap_or((name, ""));
                let resource = sub.map_or_else(|| kind.to_owned(), |sub| format!("{kind}/{sub}"));
                json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
            })
            .collect()
    }
}

/// Writes a kubeconfig under a name that no other test's file has.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = dir.join("users");
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    let file = folder.join(format!("{}-{}.kubeconfig", name.replace([':', '/'], "-"), unique()));
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut open| std::io::Write::write_all(&mut open, text.as_bytes()))
        .doing(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// Unique among the threads and processes that share a cluster.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::rule;

    #[test]
    fn resources_are_written_as_kubectl_does() {
        let rules = rule("get,list", "pods,pods/log,deployments.apps/scale").expand();
        assert_eq!(
            serde_json::to_string(&rules).unwrap(),
            r#"[{"apiGroups":[""],"resources":["pods"],"verbs":["get","list"]},{"apiGroups":[""],"resources":["pods/log"],"verbs":["get","list"]},{"apiGroups":["apps"],"resources":["deployments/scale"],"verbs":["get","list"]}]"#
        );
    }
}
