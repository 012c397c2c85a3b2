//! From the reference to a value to the value: files, commands, Secrets, ConfigMaps, variables of a workload. Each object of the cluster
//! is fetched once. An error names what exists, never what it holds.

use super::{
    kube::{Ask, Cluster, encode},
    process, variables,
};
use crate::{
    answer::Hint,
    config::{SecretRef, Sourced},
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use k8s_openapi::api::core::v1;
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    io::Read,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::Mutex;

/// The longest file that holds a value.
const LONGEST: u64 = 64 << 10;

/// The values of one Secret or ConfigMap. None: a value that is no text.
type Values = BTreeMap<String, Option<SecretString>>;

/// Resolves references in one environment.
pub struct Secrets {
    /// Attached when something leads there: a kubeconfig that nobody needs must not be an error.
    cluster: RwLock<Option<(Arc<Cluster>, String)>>,
    redact: Redactor,
    objects: Mutex<BTreeMap<(Object, String), Arc<Values>>>,
}

/// What holds values in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl Object {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret => ("secret", "secrets"),
            Self::ConfigMap => ("configmap", "configmaps"),
        }
    }
}

/// Whether a reference leads into the cluster.
pub fn needs_cluster(value: &SecretRef) -> bool {
    matches!(value, SecretRef::Secret { .. } | SecretRef::ConfigMap { .. } | SecretRef::Workload { .. })
}

impl Secrets {
    /// For an environment; until a cluster is attached, references into it are errors.
    pub fn new(redact: Redactor) -> Self {
        Self { cluster: RwLock::default(), redact, objects: Mutex::default() }
    }

    /// The cluster, and the namespace in which names are looked up. One that was connected anew takes the place of the one before.
    pub fn attach(&self, cluster: Arc<Cluster>, namespace: String) {
        *self.cluster.write().unwrap_or_else(PoisonError::into_inner) = Some((cluster, namespace));
    }

    /// Forgets what was fetched: what was rotated meanwhile is read anew.
    pub async fn forget(&self) {
        self.objects.lock().await.clear();
    }

    fn attached(&self) -> Option<(Arc<Cluster>, String)> {
        self.cluster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The namespace in which names are looked up; empty without a cluster.
    pub fn namespace(&self) -> String {
        self.attached().map(|(_, namespace)| namespace).unwrap_or_default()
    }

    /// The cluster.
    ///
    /// # Errors
    /// `Config` where there is none.
    pub fn cluster(&self) -> Result<Arc<Cluster>> {
        self.attached().map(|(cluster, _)| cluster).ok_or_else(|| {
            Error::new(Kind::Config, "resolving a reference").what("it leads into Kubernetes, and this environment has none")
        })
    }

    /// The value, without the line end behind it that editors and `base64` leave.
    ///
    /// # Errors
    /// `Config`: not set, not trusted, no such file, a command that fails. `NotFound`: no such object or key, with the keys that are
    /// there. `Denied` with the right that is needed; else as `Cluster::get`.
    pub async fn resolve(&self, value: &Sourced<SecretRef>) -> Result<SecretString> {
        let doing = safe!("reading the value of {}", value.from.says());
        let fail = |what: Safe| Error::new(Kind::Config, doing.clone()).what(what);
        let found = match &value.value {
            SecretRef::Literal(text) | SecretRef::Variables { value: text, .. } => text.clone(),
            SecretRef::Unset { variable } => {
                let name = Safe::name(variable);
                return Err(fail(safe!("the variable {} is not set", name)).hint(Hint::Set(name)));
            }
            SecretRef::Untrusted(what) => {
                return Err(
                    fail(safe!("it asks for {}, and nobody trusted its file yet", *what)).hint(Hint::Run("obsctl config trust".into()))
                );
            }
            SecretRef::File(path) => file(path, &doing)?,
            SecretRef::Command(words) => process::output(words, &self.redact).await?,
            SecretRef::Secret { name, key } => self.key(Object::Secret, name, key).await?,
            SecretRef::ConfigMap { name, key } => self.key(Object::ConfigMap, name, key).await?,
            SecretRef::Workload { kind, name, env } => variables::of_workload(self, kind, name, env).await?,
        };
        let found = trimmed(found);
        if found.expose_secret().trim().is_empty() {
            return Err(fail(safe!("{} is empty", value.value.says())));
        }
        Ok(found)
    }

    /// One key of an object that must have it.
    async fn key(&self, object: Object, name: &str, key: &str) -> Result<SecretString> {
        let (word, _) = object.names();
        let fail = |what: Safe| Error::new(Kind::NotFound, safe!("reading {}/{}", word, Safe::name(name))).what(what);
        let values = self.object(object, name).await?;
        match values.get(key) {
            Some(Some(value)) => Ok(value.clone()),
            Some(None) => Err(fail(safe!("its key {} holds something that is no text", Safe::name(key)))),
            None => {
                let there: Vec<Safe> = values.keys().take(20).map(Safe::name).collect();
                let there = if there.is_empty() { "it has none at all".into() } else { safe!("it has {}", Safe::join(&there, ", ")) };
                Err(fail(safe!("it has no key {} in namespace {}: {}", Safe::name(key), Safe::name(self.namespace()), there)))
            }
        }
    }

    /// All values of an object, fetched once.
    ///
    /// # Errors
    /// As `Cluster::get`.
    pub async fn object(&self, object: Object, name: &str) -> Result<Arc<Values>> {
        let cluster = self.cluster()?;
        // Held across the request: two commands side by side ask for the same object once.
        let mut objects = self.objects.lock().await;
        let entry = (object, name.to_owned());
        if let Some(known) = objects.get(&entry) {
            return Ok(known.clone());
        }
        let (word, plural) = object.names();
        let path = format!("/api/v1/namespaces/{}/{plural}/{}", encode(&self.namespace()), encode(name));
        let doing = safe!("reading {}/{}", word, Safe::name(name));
        let namespace = self.namespace();
        let ask = Ask::new(doing, path, "get", plural, Some(namespace.as_str()));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok().map(SecretString::from);
        let values: Values = match object {
            Object::Secret => {
                let raw: v1::Secret = cluster.get(&ask).await?;
                raw.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value.0))).collect()
            }
            Object::ConfigMap => {
                let raw: v1::ConfigMap = cluster.get(&ask).await?;
                let plain = raw.data.unwrap_or_default().into_iter().map(|(key, value)| (key, Some(SecretString::from(value))));
                plain.chain(raw.binary_data.unwrap_or_default().into_keys().map(|key| (key, None))).collect()
            }
        };
        let values = Arc::new(values);
        objects.insert(entry, values.clone());
        Ok(values)
    }
}

fn trimmed(value: SecretString) -> SecretString {
    let text = value.expose_secret();
    let without = text.trim_end_matches(['\r', '\n']);
    if without.len() == text.len() { value } else { SecretString::from(without) }
}

fn file(path: &Path, doing: &Safe) -> Result<SecretString> {
    let shown = Safe::name(path.as_os_str().as_encoded_bytes());
    let fail = |what: Safe| Error::new(Kind::Config, doing.clone()).what(safe!("{}: {}", shown, what));
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(|e| {
        fail(match e.kind() {
            std::io::ErrorKind::NotFound => "no such file".into(),
            std::io::ErrorKind::PermissionDenied => "permission denied".into(),
            std::io::ErrorKind::IsADirectory => "is a folder, not a file".into(),
            _ => Safe::name(e.to_string()),
        })
    })?;
    if bytes.len() as u64 > LONGEST {
        return Err(fail("larger than 64 KiB".into()));
    }
    String::from_utf8(bytes).map(SecretString::from).map_err(|_| fail("not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    async fn resolve(value: SecretRef) -> Result<String, Error> {
        let secrets = Secrets::new(Redactor::default());
        let value = Sourced::new(value, Origin::Flag("--x"));
        secrets.resolve(&value).await.map(|s| s.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn resolves_what_needs_no_cluster() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("password");
        std::fs::write(&path, "  hunter2 \r\n\n").expect("written");
        assert_eq!(resolve(SecretRef::File(path)).await.expect("a value"), "  hunter2 ");
        assert_eq!(resolve(SecretRef::Literal("a\n".into())).await.expect("a value"), "a");
        assert_eq!(resolve(SecretRef::Command(vec!["echo".into(), "pw".into()])).await.expect("a value"), "pw");
    }

    #[tokio::test]
    async fn says_what_is_missing_and_what_to_do() {
        let secret = SecretRef::Secret { name: "a".into(), key: "b".into() };
        for (value, what, hint) in [
            (SecretRef::Unset { variable: "PW".into() }, "the variable PW is not set", Some(Hint::Set("PW".into()))),
            (
                SecretRef::Untrusted("a file"),
                "it asks for a file, and nobody trusted its file yet",
                Some(Hint::Run("obsctl config trust".into())),
            ),
            (SecretRef::File("/no/such".into()), "/no/such: no such file", None),
            (SecretRef::File("/etc".into()), "/etc: is a folder, not a file", None),
            (SecretRef::File("/dev/zero".into()), "/dev/zero: larger than 64 KiB", None),
            (SecretRef::Literal(" \n".into()), "the file itself is empty", None),
            (secret, "it leads into Kubernetes, and this environment has none", None),
        ] {
            let error = resolve(value).await.expect_err(what);
            assert_eq!((error.kind(), error.what_happened().as_str(), error.hints().first()), (Kind::Config, what, hint.as_ref()));
        }
    }
}
