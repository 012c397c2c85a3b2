//! The Kubernetes objects of the sandbox, as JSON: pure functions of its description.

use serde_json::{Map, Value, json};

use super::description::{Description, Part, Ready, Values, Where, fill};
use super::parts::PGBIN;
use super::{Profile, front};
use crate::failure::Result;

/// The path of the data folder in its pod.
const DATA: &str = "/data/pg";
/// The path of the empty folder in its pod.
const SCRATCH: &str = "/data";
/// Any number but root's: nobody of that number exists, as in most images.
const USER: u32 = 10_001;

/// What is known when the pods are written.
#[derive(Clone, Debug)]
pub struct Place {
    pub namespace: String,
    pub image: String,
    /// Folders of the machine that appear in the pods at the same path: the environment, the project.
    pub venv: String,
    pub sandbox: String,
    pub python: String,
    /// The data folder that is copied at the pod's start, and the number of its owner.
    pub template: String,
    pub postgres_user: u32,
    /// Services and their addresses: there is no DNS in the test cluster.
    pub addresses: Values,
}

/// What every pod of a kind is told, whatever its address.
pub fn values(description: &Description, profile: Profile) -> Result<Values> {
    let mut values = description.passwords.clone();
    values.extend(front::values()?);
    let mut know = |name: &str, value: String| values.insert(name.to_owned(), value);
    know("pgbin", PGBIN.to_owned());
    know("profile", profile.to_string());
    know("release", description.release.clone());
    know("hosts", String::new());
    know("bind", "0.0.0.0".to_owned());
    know("data", DATA.to_owned());
    know("scratch", SCRATCH.to_owned());
    for part in description.parts(Where::Pods) {
        let port = part.port.unwrap_or_default();
        know(&part.name, format!("{}:{port}", part.name));
        know(&format!("{}.host", part.name), part.name.clone());
        know(&format!("{}.port", part.name), port.to_string());
    }
    Ok(values)
}

/// Secrets, ConfigMaps and Services: what exists before any pod.
pub fn ground(description: &Description, values: &Values) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for (kind, field, groups) in [("Secret", "stringData", &description.secrets), ("ConfigMap", "data", &description.config)] {
        for (name, keys) in groups {
            let mut filled = Map::new();
            for (key, value) in keys {
                filled.insert(key.clone(), fill(value, values)?.into());
            }
            objects.push(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: filled}));
        }
    }
    for part in description.parts(Where::Pods) {
        if let Some(port) = part.port {
            objects.push(json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": part.name, "labels": {"app": part.name}},
                "spec": {"selector": {"app": part.name}, "ports": [{"port": port, "targetPort": port}]},
            }));
        }
    }
    Ok(objects)
}

/// The Deployment of a part, or its Job.
pub fn workload(description: &Description, part: &Part, values: &Values, place: &Place) -> Result<Value> {
    let labels = json!({"app": part.name, "app.kubernetes.io/version": description.release, "app.kubernetes.io/part-of": "shop"});
    let annotations = json!({"shop.example/release": description.release});
    let mut spec = pod(description, part, values, place)?;
    let metadata = json!({"name": part.name, "labels": labels, "annotations": annotations});
    let template_metadata = json!({"labels": labels, "annotations": annotations});
    if part.job {
        spec["restartPolicy"] = "Never".into();
        return Ok(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"backoffLimit": 3, "template": {"metadata": template_metadata, "spec": spec}},
        }));
    }
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": part.replicas,
            "selector": {"matchLabels": {"app": part.name}},
            "template": {"metadata": template_metadata, "spec": spec},
        },
    }))
}

fn pod(description: &Description, part: &Part, values: &Values, place: &Place) -> Result<Value> {
    let user = if part.user.is_some() { place.postgres_user } else { USER };
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 2,
        "hostAliases": aliases(place),
        "containers": [container(description, part, values, place, user)?],
        "volumes": volumes(part, place),
    });
    if part.data {
        // As root, so that the copy keeps its owner.
        spec["initContainers"] = json!([{
            "name": "data",
            "image": place.image,
            "imagePullPolicy": "Never",
            "command": ["cp", "-a", "/template", DATA],
            "volumeMounts": [
                {"name": "template", "mountPath": "/template", "readOnly": true},
                {"name": "data", "mountPath": "/data"},
            ],
        }]);
    }
    Ok(spec)
}

fn container(description: &Description, part: &Part, values: &Values, place: &Place, user: u32) -> Result<Value> {
    let mut values = values.clone();
    values.insert("port".to_owned(), part.port.unwrap_or_default().to_string());
    // Celery puts the pod's name in.
    values.insert("worker".to_owned(), format!("{}@%h", part.name));
    values.insert("python".to_owned(), place.python.clone());
    values.insert("sandbox".to_owned(), place.sandbox.clone());
    let command: Result<Vec<String>> = part.command.iter().map(|word| fill(word, &values)).collect();
    let sources = part.env_from.iter().map(|name| {
        let kind = if description.secrets.contains_key(name) { "secretRef" } else { "configMapRef" };
        json!({kind: {"name": name}})
    });
    let mut mounts: Vec<Value> = folders(place).map(|(name, path)| json!({"name": name, "mountPath": path, "readOnly": true})).collect();
    mounts.extend(part.mounts.iter().map(|(path, map)| json!({"name": map, "mountPath": path})));
    if part.data || part.scratch {
        mounts.push(json!({"name": "data", "mountPath": "/data"}));
    }
    let mut container = json!({
        "name": part.name,
        "image": place.image,
        "imagePullPolicy": "Never",
        "command": command?,
        "workingDir": format!("{}/shop", place.sandbox),
        "envFrom": sources.collect::<Vec<_>>(),
        "securityContext": {"runAsUser": user, "runAsGroup": user, "allowPrivilegeEscalation": false},
        "volumeMounts": mounts,
    });
    if let Some(port) = part.port {
        container["ports"] = json!([{"containerPort": port}]);
    }
    if let Some(memory) = &part.memory {
        container["resources"] = json!({"limits": {"memory": memory}});
    }
    match &part.ready {
        Some(Ready::Tcp) => {
            container["readinessProbe"] = json!({"tcpSocket": {"port": part.port}, "periodSeconds": 1, "failureThreshold": 60});
        }
        Some(Ready::Http(path)) => {
            container["readinessProbe"] = probe(part, path, 2, 3);
            container["livenessProbe"] = probe(part, "/healthz", 10, 6);
            // Beside a build the first answer takes minutes; nobody restarts it for that.
            container["startupProbe"] = probe(part, "/healthz", 2, 150);
        }
        Some(Ready::Https(path)) => {
            container["readinessProbe"] = probe(part, path, 2, 3);
            container["readinessProbe"]["httpGet"]["scheme"] = "HTTPS".into();
        }
        Some(Ready::Log(_)) | None => {}
    }
    Ok(container)
}

/// As the proxy before the shop asks: otherwise ALLOWED_HOSTS answers 400 and SECURE_SSL_REDIRECT 301.
fn probe(part: &Part, path: &str, period: u32, failures: u32) -> Value {
    let headers = json!([{"name": "Host", "value": "shop.example"}, {"name": "X-Forwarded-Proto", "value": "https"}]);
    json!({
        "httpGet": {"path": path, "port": part.port, "httpHeaders": headers},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// The machine's own Python, PostgreSQL and Redis, with nothing built into an image.
fn folders(place: &Place) -> impl Iterator<Item = (&'static str, &str)> {
    [("usr", "/usr"), ("lib", "/lib"), ("lib64", "/lib64"), ("venv", &place.venv), ("sandbox", &place.sandbox)].into_iter()
}

fn volumes(part: &Part, place: &Place) -> Vec<Value> {
    let mut volumes: Vec<Value> =
        folders(place).map(|(name, path)| json!({"name": name, "hostPath": {"path": path, "type": "Directory"}})).collect();
    volumes.extend(part.mounts.values().map(|map| json!({"name": map, "configMap": {"name": map}})));
    if part.data {
        volumes.push(json!({"name": "template", "hostPath": {"path": place.template, "type": "Directory"}}));
    }
    if part.data || part.scratch {
        volumes.push(json!({"name": "data", "emptyDir": {}}));
    }
    volumes
}

fn aliases(place: &Place) -> Vec<Value> {
    let names = |name: &str| {
        let namespace = &place.namespace;
        json!([name, format!("{name}.{namespace}"), format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")])
    };
    place.addresses.iter().map(|(name, address)| json!({"ip": address, "hostnames": names(name)})).collect()
}

#[cfg(test)]
mod tests {
    use super::{Place, ground, values, workload};
    use crate::sandbox::Profile;
    use crate::sandbox::description::{Description, Values, Where};

    #[test]
    fn every_pod_can_be_written() {
        let description = Description::read().unwrap();
        let place = Place {
            namespace: "shop-1".into(),
            image: "busybox".into(),
            venv: "/venv".into(),
            sandbox: "/sandbox".into(),
            python: "/venv/bin/python".into(),
            template: "/template".into(),
            postgres_user: 101,
            addresses: Values::from([("postgres".to_owned(), "10.96.0.9".to_owned())]),
        };
        let values = values(&description, Profile::B).unwrap();
        let secret = ground(&description, &values).unwrap().into_iter().find(|object| object["metadata"]["name"] == "backend-env").unwrap();
        assert_eq!(secret["stringData"]["DATABASE_URL"], "postgres://shop_app:Sh0p-App-7Kq2@postgres:5432/shop");
        for part in description.parts(Where::Pods) {
            let object = workload(&description, part, &values, &place).unwrap();
            let spec = &object["spec"]["template"]["spec"];
            assert_eq!(spec["containers"][0]["imagePullPolicy"], "Never");
            assert_eq!(spec["hostAliases"][0]["hostnames"][3], "postgres.shop-1.svc.cluster.local");
        }
    }
}
