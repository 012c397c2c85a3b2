//! The kubeconfig as kubectl reads it: several files merged, contexts, in-cluster when there is none. Secrets in it never reach an error.

use super::{plugin, proxy};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use std::path::PathBuf;

/// Which cluster, and what the surroundings say about reaching it.
#[derive(Clone, Debug, Default)]
pub struct KubeAsk {
    /// `--context`, or the environment's.
    pub context: Option<String>,
    /// `--namespace`, or the environment's.
    pub namespace: Option<String>,
    /// The kubeconfig files, first wins; files that do not exist are passed over, as kubectl does, unless `explicit`.
    pub files: Vec<PathBuf>,
    /// Whether a missing file is an error (`--kubeconfig`).
    pub explicit: bool,
    /// `HTTPS_PROXY`.
    pub proxy: Option<String>,
    /// `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// A kubeconfig's contexts.
#[derive(Debug, Default)]
pub struct Contexts {
    /// Their names.
    pub names: Vec<String>,
    /// The current one.
    pub current: Option<String>,
}

impl Contexts {
    /// Reads them without connecting; nothing readable is no context.
    pub fn read(ask: &KubeAsk) -> Self {
        match merged(ask) {
            Ok(Some(k)) => Self { names: k.contexts.into_iter().map(|c| c.name).collect(), current: k.current_context },
            _ => Self::default(),
        }
    }
}

pub(super) struct Loaded {
    pub config: Config,
    pub context: Option<Safe>,
    pub server: Safe,
    pub warnings: Vec<Safe>,
}

const DOING: &str = "reading the kubeconfig";

pub(super) async fn load(ask: &KubeAsk) -> Result<Loaded> {
    let Some(kubeconfig) = merged(ask)? else {
        return in_cluster(ask);
    };
    let names: Vec<String> = kubeconfig.contexts.iter().map(|c| c.name.clone()).collect();
    let wanted = ask.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|c| !c.is_empty());
    let Some(wanted) = wanted else {
        return Err(Error::new(Kind::Config, DOING).what("it has no current context").hint(contexts_hint(&names)));
    };
    if !names.contains(&wanted) {
        return Err(Error::new(Kind::Usage, DOING).what(safe!("there is no context {}", Safe::name(&wanted))).hint(contexts_hint(&names)));
    }
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions { context: Some(wanted.clone()), ..Default::default() })
        .await
        .map_err(|e| unusable(&e))?;
    plugin::resolve(&mut config.auth_info, &Redactor::default()).await?;
    finish(config, Some(Safe::name(&wanted)), ask)
}

fn in_cluster(ask: &KubeAsk) -> Result<Loaded> {
    let tried: Vec<Safe> = ask.files.iter().map(|f| Safe::name(f.to_string_lossy().as_bytes())).collect();
    if let Some(context) = &ask.context {
        return Err(Error::new(Kind::Usage, DOING).what(safe!(
            "there is no context {}: no kubeconfig at {}",
            Safe::name(context),
            Safe::join(&tried, ", ")
        )));
    }
    let config = Config::incluster().map_err(|_| {
        Error::new(Kind::Config, DOING)
            .what(safe!("there is none at {}, and this is not a pod", Safe::join(&tried, ", ")))
            .hint(Hint::Set("KUBECONFIG, or copy the file your cluster's administrator gave you to ~/.kube/config".into()))
    })?;
    finish(config, None, ask)
}

fn finish(mut config: Config, context: Option<Safe>, ask: &KubeAsk) -> Result<Loaded> {
    // kube would repeat one 503 for four minutes; our own requests have bounds of their own.
    config.default_retry = false;
    let mut warnings = Vec::new();
    if config.accept_invalid_certs {
        warnings.push("TLS is NOT verified: the kubeconfig says insecure-skip-tls-verify".into());
    }
    let host = config.cluster_url.host().unwrap_or_default().to_owned();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    if let Some(variable) = ask.proxy.as_deref().filter(|p| !p.is_empty()) {
        // kube has put the variable, or the kubeconfig's own proxy, here; only the variable is subject to NO_PROXY.
        let from_variable = config.proxy_url.as_ref().is_none_or(|p| variable.parse::<http::Uri>().is_ok_and(|v| v == *p));
        if from_variable {
            let bypass = ask.no_proxy.as_deref().is_some_and(|list| proxy::bypasses(list, &host, port));
            config.proxy_url = if bypass { None } else { variable.parse().ok() };
        }
    }
    let scheme = config.cluster_url.scheme_str().unwrap_or("https");
    let server = safe!("{}://{}:{}", Safe::name(scheme), Safe::name(&host), port);
    Ok(Loaded { config, context, server, warnings })
}

/// All files as one, or none when no file exists.
fn merged(ask: &KubeAsk) -> Result<Option<Kubeconfig>> {
    let mut all: Option<Kubeconfig> = None;
    for path in &ask.files {
        let shown = Safe::name(path.to_string_lossy().as_bytes());
        if !ask.explicit && !path.exists() {
            continue;
        }
        let read = Kubeconfig::read_from(path).map_err(|e| {
            let what = match &e {
                KubeconfigError::ReadConfig(io, _) => safe!("{}: {}", shown, Safe::name(io.to_string())),
                KubeconfigError::Parse(e) => match e.location() {
                    Some(at) => safe!("{}:{}:{}: not a kubeconfig", shown, at.line(), at.column()),
                    None => safe!("{}: not a kubeconfig", shown),
                },
                _ => shown.clone(),
            };
            Error::new(Kind::Config, DOING).what(what)
        })?;
        all = Some(match all {
            None => read,
            Some(first) => first.merge(read).map_err(|e| unusable(&e))?,
        });
    }
    Ok(all)
}

fn contexts_hint(names: &[String]) -> Hint {
    if names.is_empty() {
        return Hint::Try("the kubeconfig holds no context at all".into());
    }
    let names: Vec<Safe> = names.iter().map(Safe::name).collect();
    Hint::Try(safe!("--context with one of: {}", Safe::join(&names, ", ")))
}

fn unusable(error: &KubeconfigError) -> Error {
    let what = match error {
        KubeconfigError::LoadClusterOfContext(name) => safe!("the cluster {} that the context names is not in it", Safe::name(name)),
        KubeconfigError::MissingClusterUrl => "the cluster has no server".into(),
        KubeconfigError::ParseClusterUrl(_) => "the cluster's server is no URL".into(),
        KubeconfigError::ParseProxyUrl(_) => "the proxy is no URL".into(),
        KubeconfigError::LoadCertificateAuthority(_) => "its certificate-authority cannot be read".into(),
        KubeconfigError::ParseCertificates(_) => "its certificate-authority is not PEM".into(),
        KubeconfigError::LoadClientCertificate(_) => "its client certificate cannot be read".into(),
        KubeconfigError::LoadClientKey(_) => "its client key cannot be read".into(),
        KubeconfigError::ParseNoProxy(_) => "NO_PROXY cannot be read".into(),
        _ => "it cannot be used".into(),
    };
    Error::new(Kind::Config, DOING).what(what).hint(Hint::Try("kubectl config view --minify shows what is in it".into()))
}
