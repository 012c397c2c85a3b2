//! What a missing permission needs: the smallest Role, ready to hand to whoever may grant it.

use crate::{answer::Permission, safe, text::Safe};

/// The smallest Role (or ClusterRole) for these permissions, as the lines of its YAML.
pub fn role(permissions: &[Permission]) -> Vec<Safe> {
    let namespace = permissions.iter().find_map(|p| p.scope.strip_prefix("namespace "));
    let cluster = permissions.iter().any(|p| !p.scope.starts_with("namespace "));
    let mut rules: Vec<(Safe, Vec<Safe>)> = Vec::new();
    for p in permissions {
        match rules.iter_mut().find(|(r, _)| *r == p.resource) {
            Some((_, verbs)) if !verbs.contains(&p.verb) => verbs.push(p.verb.clone()),
            Some(_) => {}
            None => rules.push((p.resource.clone(), vec![p.verb.clone()])),
        }
    }
    let mut lines: Vec<Safe> = vec!["apiVersion: rbac.authorization.k8s.io/v1".into()];
    match namespace.filter(|_| !cluster) {
        Some(namespace) => {
            lines.push("kind: Role".into());
            lines.push(safe!("metadata: {{name: obsctl-read, namespace: {}}}", Safe::name(namespace)));
        }
        None => lines.extend(["kind: ClusterRole".into(), "metadata: {name: obsctl-read}".into()]),
    }
    lines.push("rules:".into());
    lines.extend(rules.iter().map(|(resource, verbs)| {
        safe!("- {{apiGroups: [\"{}\"], resources: [{}], verbs: [{}]}}", group(resource), resource, Safe::join(verbs, ", "))
    }));
    lines
}

/// The API group of a resource that obsctl asks for.
fn group(resource: &str) -> &'static str {
    match resource {
        "deployments" | "statefulsets" | "daemonsets" | "replicasets" => "apps",
        "jobs" | "cronjobs" => "batch",
        "ingresses" => "networking.k8s.io",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_names_just_what_was_refused() {
        let p = |verb: &'static str, resource: &'static str| Permission {
            verb: verb.into(),
            resource: resource.into(),
            scope: "namespace shop".into(),
        };
        let yaml = role(&[p("get", "pods/log"), p("list", "pods"), p("get", "pods/log"), p("get", "deployments")]);
        assert_eq!(
            format!("{}\n", Safe::join(&yaml, "\n")),
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: obsctl-read, namespace: shop}\nrules:\n\
             - {apiGroups: [\"\"], resources: [pods/log], verbs: [get]}\n- {apiGroups: [\"\"], resources: [pods], verbs: [list]}\n\
             - {apiGroups: [\"apps\"], resources: [deployments], verbs: [get]}\n"
        );
    }
}
