//! The variables that the containers of a workload get, read from its specification as the kubelet reads it: `env` over `envFrom`, the
//! later over the earlier, `$(OTHER)` in place. Looked up one by one, so that no Secret is fetched that nobody asked for.

use super::{
    kube::{Ask, encode},
    secret::{Object, Secrets},
};
use crate::{
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container, EnvVarSource, PodSpec};
use secrecy::{ExposeSecret, SecretString};

/// How deep `$(…)` may lead: Kubernetes allows no cycle, and neither does this.
const DEEPEST: u8 = 8;

/// Where a kind of workload stands in the API, and its pods' specification in it.
struct Kinded {
    api: &'static str,
    plural: &'static str,
    spec: &'static str,
}

fn kinded(kind: &str) -> Option<Kinded> {
    let template = "/spec/template/spec";
    let (api, plural, spec) = match kind {
        "deployment" | "deployments" | "deploy" => ("apis/apps/v1", "deployments", template),
        "statefulset" | "statefulsets" | "sts" => ("apis/apps/v1", "statefulsets", template),
        "daemonset" | "daemonsets" | "ds" => ("apis/apps/v1", "daemonsets", template),
        "job" | "jobs" => ("apis/batch/v1", "jobs", template),
        "cronjob" | "cronjobs" | "cj" => ("apis/batch/v1", "cronjobs", "/spec/jobTemplate/spec/template/spec"),
        "pod" | "pods" | "po" => ("api/v1", "pods", "/spec"),
        _ => return None,
    };
    Some(Kinded { api, plural, spec })
}

/// A workload of the namespace, as it stands.
///
/// # Errors
/// `Config` for a kind without pods; else as `Cluster::get`.
pub(super) async fn workload(secrets: &Secrets, kind: &str, name: &str) -> Result<serde_json::Value> {
    let doing = safe!("reading {}/{}", Safe::name(kind), Safe::name(name));
    let Some(Kinded { api, plural, .. }) = kinded(kind) else {
        return Err(Error::new(Kind::Config, doing)
            .what("no kind with pods: deployment, statefulset, daemonset, job, cronjob or pod, as in deployment/backend"));
    };
    let namespace = secrets.namespace();
    let path = format!("/{api}/namespaces/{}/{plural}/{}", encode(&namespace), encode(name));
    secrets.cluster()?.get(&Ask::new(doing, path, "get", plural, Some(&namespace))).await
}

/// A variable of a workload: of its first container that gets it.
pub(super) async fn of_workload(secrets: &Secrets, kind: &str, name: &str, variable: &str) -> Result<SecretString> {
    let raw = workload(secrets, kind, name).await?;
    let spec = kinded(kind).and_then(|k| raw.pointer(k.spec)).cloned().unwrap_or_default();
    let doing = safe!("reading the variables of {}/{}", Safe::name(kind), Safe::name(name));
    let spec: PodSpec = serde_json::from_value(spec)
        .map_err(|_| Error::new(Kind::Protocol, doing.clone()).what("its specification is not what Kubernetes sends"))?;
    let mut refused = None;
    for container in &spec.containers {
        match lookup(secrets, container, variable).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            // Another container may get it from where we may read.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let mut names: Vec<Safe> = spec.containers.iter().flat_map(|c| c.env.iter().flatten()).map(|e| Safe::name(&e.name)).collect();
        names.sort();
        names.dedup();
        let named = if names.is_empty() { "no variable by name".into() } else { Safe::join(names.iter().take(20), ", ") };
        Error::new(Kind::NotFound, doing).what(safe!("no container gets {}; its specification sets {}", Safe::name(variable), named))
    }))
}

/// A variable of one container. None: it does not get it.
///
/// # Errors
/// It may be there, and what it stands in cannot be read.
pub(super) async fn lookup(secrets: &Secrets, container: &Container, variable: &str) -> Result<Option<SecretString>> {
    let end = container.env.as_ref().map_or(0, Vec::len);
    find(secrets, container, variable, end, 0).await
}

/// Whether a container's specification sets a variable by name.
pub(super) fn is_named(container: &Container, variable: &str) -> bool {
    container.env.iter().flatten().any(|e| e.name == variable)
}

/// Whether it does, or may get it from a whole object.
pub(super) fn may_have(container: &Container, variable: &str) -> bool {
    is_named(container, variable) || container.env_from.as_ref().is_some_and(|all| !all.is_empty())
}

/// Looks at the first `end` entries of `env`, the last one first, then at `envFrom`: what `$(…)` means depends on where it stands.
fn find<'a>(
    secrets: &'a Secrets,
    container: &'a Container,
    variable: &'a str,
    end: usize,
    depth: u8,
) -> BoxFuture<'a, Result<Option<SecretString>>> {
    Box::pin(async move {
        let env = container.env.as_deref().unwrap_or_default();
        if let Some((index, entry)) = env.iter().enumerate().take(end).rev().find(|(_, entry)| entry.name == variable) {
            return match (&entry.value, &entry.value_from) {
                (_, Some(source)) => of_source(secrets, source).await,
                (Some(text), None) => expand(secrets, container, text, index, depth).await.map(Some),
                (None, None) => Ok(Some(SecretString::from(""))),
            };
        }
        for whole in container.env_from.iter().flatten().rev() {
            let Some(key) = variable.strip_prefix(whole.prefix.as_deref().unwrap_or_default()) else { continue };
            let (object, name, optional) = match (&whole.secret_ref, &whole.config_map_ref) {
                (Some(secret), _) => (Object::Secret, &secret.name, secret.optional),
                (None, Some(map)) => (Object::ConfigMap, &map.name, map.optional),
                (None, None) => continue,
            };
            match secrets.object(object, name).await {
                Ok(values) => {
                    if let Some(found) = values.get(key) {
                        return Ok(found.clone());
                    }
                }
                Err(error) if error.kind() == Kind::NotFound && optional == Some(true) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    })
}

async fn of_source(secrets: &Secrets, source: &EnvVarSource) -> Result<Option<SecretString>> {
    let (object, name, key, optional) = match (&source.secret_key_ref, &source.config_map_key_ref) {
        (Some(secret), _) => (Object::Secret, &secret.name, &secret.key, secret.optional),
        (None, Some(map)) => (Object::ConfigMap, &map.name, &map.key, map.optional),
        // The pod's own name, address or limits: they name no broker.
        (None, None) => return Ok(None),
    };
    match secrets.object(object, name).await {
        Ok(values) => Ok(values.get(key).cloned().flatten()),
        Err(error) if error.kind() == Kind::NotFound && optional == Some(true) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `$(NAME)` is the variable that stands before, `$$(NAME)` is the text, and what is not there stays as it is written.
async fn expand(secrets: &Secrets, container: &Container, text: &str, index: usize, depth: u8) -> Result<SecretString> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(escaped) = behind.strip_prefix('$') {
            out.push('$');
            rest = escaped;
            continue;
        }
        let named = behind.strip_prefix('(').and_then(|b| b.split_once(')'));
        let Some((name, after)) = named.filter(|_| depth < DEEPEST) else {
            out.push('$');
            rest = behind;
            continue;
        };
        match find(secrets, container, name, index, depth + 1).await? {
            Some(value) => out.push_str(value.expose_secret()),
            None => out.push_str(&format!("$({name})")),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(SecretString::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Redactor;

    async fn look(env: serde_json::Value, variable: &str) -> Option<String> {
        let secrets = Secrets::new(Redactor::default());
        let container: Container = serde_json::from_value(serde_json::json!({"name": "web", "env": env})).expect("a container");
        lookup(&secrets, &container, variable).await.expect("no cluster needed").map(|s| s.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn variables_are_put_together_as_the_kubelet_does() {
        let env = serde_json::json!([
            {"name": "PW", "value": "a$b"},
            {"name": "HOST", "value": "redis"},
            {"name": "URL", "value": "redis://:$(PW)@$(HOST):6379/$(LATER)"},
            {"name": "LATER", "value": "3"},
            {"name": "PLAIN", "value": "$$(PW) $(NOWHERE) $x $"},
            {"name": "HOST", "value": "other"},
            {"name": "SELF", "value": "$(SELF)"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]);
        assert_eq!(look(env.clone(), "URL").await.as_deref(), Some("redis://:a$b@redis:6379/$(LATER)"));
        assert_eq!(look(env.clone(), "PLAIN").await.as_deref(), Some("$(PW) $(NOWHERE) $x $"));
        assert_eq!(look(env.clone(), "HOST").await.as_deref(), Some("other"));
        assert_eq!(look(env.clone(), "SELF").await.as_deref(), Some("$(SELF)"));
        assert_eq!((look(env.clone(), "POD").await, look(env, "ABSENT").await), (None, None));
    }
}
