//! Exec credential plugins (`aws eks get-token`, `gke-gcloud-auth-plugin`): run once per connection, off the runtime, with stdin closed
//! and a deadline. kube itself would run them several times, blocking a thread and reading our stdin.
#![expect(clippy::disallowed_methods, reason = "the kubeconfig names a command that makes the credentials, as kubectl runs it")]

use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use kube::config::{AuthInfo, ExecConfig};
use serde::Deserialize;
use std::{process::Stdio, time::Duration};

/// How long a plugin may take: some open a browser.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct RawCredential {
    status: Option<RawStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the user's plugin, if there is one, and puts what it gave in its place.
pub(super) async fn resolve(auth: &mut AuthInfo, redact: &Redactor) -> Result<()> {
    let Some(exec) = auth.exec.take() else { return Ok(()) };
    let status = run(&exec, redact).await?;
    if let Some(token) = status.token {
        auth.token = Some(token.into());
    }
    if let (Some(certificate), Some(key)) = (status.client_certificate_data, status.client_key_data) {
        auth.client_certificate_data = Some(base64(certificate.as_bytes()));
        auth.client_key_data = Some(base64(key.as_bytes()).into());
    }
    Ok(())
}

async fn run(exec: &ExecConfig, redact: &Redactor) -> Result<RawStatus> {
    let name = exec.command.clone().unwrap_or_default();
    let doing = safe!("running the kubeconfig's credential plugin {}", Safe::name(&name));
    let fail = |kind, what: Safe| {
        let hint = exec.install_hint.as_deref().map_or_else(
            || Hint::Try(safe!("run {} by hand, or log in again as you do for kubectl", Safe::name(&name))),
            |h| Hint::Try(redact.safe(h.as_bytes())),
        );
        Error::new(kind, doing.clone()).what(what).hint(hint)
    };
    if name.is_empty() {
        return Err(fail(Kind::Config, "the kubeconfig names no command".into()));
    }
    let mut command = tokio::process::Command::new(&name);
    command.args(exec.args.iter().flatten()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let mut spec = serde_json::json!({"interactive": false});
    if let Some(cluster) = exec.cluster.as_ref().filter(|_| exec.provide_cluster_info) {
        spec["cluster"] = serde_json::to_value(cluster).unwrap_or_default();
    }
    let info = serde_json::json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec});
    command.env("KUBERNETES_EXEC_INFO", info.to_string());

    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| fail(Kind::Timeout, safe!("it did not end within {} s", PATIENCE.as_secs())))?
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => fail(Kind::Config, "there is no such command".into()),
            _ => fail(Kind::Config, Safe::name(e.to_string())),
        })?;
    if !output.status.success() {
        let last = output.stderr.split(|b| *b == b'\n').rfind(|l| !l.trim_ascii().is_empty()).unwrap_or_default();
        return Err(fail(Kind::Auth, safe!("it failed: {}", redact.safe(last).clipped(300))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // Most print JSON; YAML, which contains it, is what client-go accepts. The text holds a token: no part of it is ever shown.
    serde_saphyr::from_str::<RawCredential>(&text)
        .ok()
        .and_then(|c| c.status)
        .ok_or_else(|| fail(Kind::Auth, "what it printed holds no credentials".into()))
}

/// Base64 as the kubeconfig has certificates in it.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let index = (n >> (18 - 6 * i)) & 63;
            out.push(if i <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_pads() {
        assert_eq!(["", "f", "fo", "foo"].map(|s| super::base64(s.as_bytes())), ["", "Zg==", "Zm8=", "Zm9v"]);
    }
}
