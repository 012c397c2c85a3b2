//! The smallest rights that a read-only operator needs, as data, and as what an administrator pastes: a Role, a Redis ACL, a PostgreSQL
//! role. `nodes/proxy` is in none of them: it is a right over the whole node. The tests apply what is printed here, and use it.

use crate::{safe, text::Safe};

/// Rights on one kind of object, and what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RightNeeded {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// `pods`, `pods/log`.
    pub resource: &'static str,
    /// `get`, `list`.
    pub verbs: &'static [&'static str],
    /// What cannot be seen without it.
    pub used_for: &'static str,
    /// Whether it belongs to a namespace.
    pub namespaced: bool,
}

const fn in_namespace(group: &'static str, resource: &'static str, verbs: &'static [&'static str], used_for: &'static str) -> RightNeeded {
    RightNeeded { group, resource, verbs, used_for, namespaced: true }
}

/// All of them. Secrets and ConfigMaps are named one by one: the right to list them exposes their values.
pub const NEEDED: &[RightNeeded] = &[
    in_namespace("", "pods", &["get", "list"], "everything in the cluster"),
    in_namespace("", "pods/log", &["get"], "logs, errors"),
    in_namespace("", "pods/portforward", &["get", "create"], "queue, explain, db and health through a tunnel"),
    in_namespace("", "events", &["list"], "changes, health, pods that are gone"),
    in_namespace("", "services", &["get", "list"], "health, tunnels to a Service"),
    in_namespace("apps", "deployments", &["get", "list"], "logs deploy/NAME, changes, health"),
    in_namespace("apps", "replicasets", &["list"], "changes, health: rollouts"),
    in_namespace("apps", "statefulsets", &["get", "list"], "logs sts/NAME, changes"),
    in_namespace("apps", "daemonsets", &["get", "list"], "logs ds/NAME, changes"),
    in_namespace("batch", "jobs", &["get", "list"], "logs job/NAME, changes"),
    in_namespace("batch", "cronjobs", &["get"], "logs cronjob/NAME"),
    in_namespace("networking.k8s.io", "ingresses", &["list"], "health: the public host"),
    RightNeeded { group: "", resource: "nodes", verbs: &["list"], used_for: "changes: trouble of nodes", namespaced: false },
];

/// What relays bytes through a pod, where the configuration says `via: exec`.
pub const RELAY: RightNeeded = in_namespace("", "pods/exec", &["get", "create"], "via: exec");

/// What the Role is for.
#[derive(Clone, Debug, Default)]
pub struct RoleFor {
    /// The namespace.
    pub namespace: Safe,
    /// The Secrets that the broker's and the databases' addresses stand in.
    pub secrets: Vec<Safe>,
    /// ConfigMaps likewise.
    pub config_maps: Vec<Safe>,
    /// Whether something is reached by `via: exec`.
    pub relays: bool,
}

/// The Role, and a ClusterRole for what belongs to no namespace, as YAML.
pub fn role(of: &RoleFor) -> Vec<Safe> {
    let mut lines: Vec<Safe> = vec![
        "apiVersion: rbac.authorization.k8s.io/v1".into(),
        "kind: Role".into(),
        safe!("metadata: {{name: obsctl-read, namespace: {}}}", of.namespace),
        "rules:".into(),
    ];
    let relay = of.relays.then_some(&RELAY);
    lines.extend(NEEDED.iter().filter(|right| right.namespaced).chain(relay).map(rule));
    for (resource, names) in [("secrets", &of.secrets), ("configmaps", &of.config_maps)] {
        if !names.is_empty() {
            lines.push(safe!(
                "- {{apiGroups: [\"\"], resources: [{}], resourceNames: [{}], verbs: [get]}}",
                resource,
                Safe::join(names, ", ")
            ));
        }
    }
    lines.extend(["---".into(), "apiVersion: rbac.authorization.k8s.io/v1".into(), "kind: ClusterRole".into()]);
    lines.extend(["metadata: {name: obsctl-read-nodes}".into(), "rules:".into()]);
    lines.extend(NEEDED.iter().filter(|right| !right.namespaced).map(rule));
    lines
}

fn rule(right: &RightNeeded) -> Safe {
    let verbs: Vec<Safe> = right.verbs.iter().map(|verb| Safe::from(*verb)).collect();
    safe!("- {{apiGroups: [\"{}\"], resources: [{}], verbs: [{}]}}", right.group, right.resource, Safe::join(&verbs, ", "))
}

/// The user of a Redis: for everything but `--ask`, then what `--ask` needs besides. Patterns of channels are compared letter by letter,
/// so the number is that of the database.
pub fn redis_acl(db: u64) -> Vec<Safe> {
    vec![
        safe!(
            "ACL SETUSER obsctl on >CHANGE-ME ~* resetchannels &/{}.celeryev/worker.* -@all +auth +hello +select +client|setname +ping +time +info +scan +sscan +llen +lindex +lrange +hlen +hmget +hstrlen +zcount +zrange +zscore +get +memory|usage +psubscribe +punsubscribe",
            db
        ),
        safe!(
            "ACL SETUSER obsctl (%RW~_kombu.binding.reply.celery.pidbox %RW~*.reply.celery.pidbox &/{}.celery.pidbox +publish +sadd +srem +brpop +del)",
            db
        ),
    ]
}

/// The role of a PostgreSQL, for one database. `owner` is who creates its tables.
pub fn grants(database: &Safe, schemas: &[(Safe, Safe)]) -> Vec<Safe> {
    let mut lines: Vec<Safe> = vec![
        "CREATE ROLE obsctl LOGIN PASSWORD 'CHANGE-ME' CONNECTION LIMIT 5;".into(),
        safe!("GRANT CONNECT ON DATABASE {} TO obsctl;", *database),
        "GRANT pg_monitor TO obsctl;".into(),
    ];
    for (schema, owner) in schemas {
        lines.push(safe!("GRANT USAGE ON SCHEMA {} TO obsctl;", *schema));
        lines.push(safe!("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO obsctl;", *schema));
        lines.push(safe!("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO obsctl;", *owner, *schema));
    }
    lines
}
