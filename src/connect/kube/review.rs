//! What the API server says of ourselves: who we are to it, what we may do, and its clock. Questions to its authorizer and authenticator;
//! nothing is made or changed by them.

use super::{Ask, Cluster, UNARY, fault};
use crate::{
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use http::{Request, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Something that a user may or may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessQuestion<'a> {
    /// `get`, `list`, `create`.
    pub verb: &'a str,
    /// The API group; empty for the core.
    pub group: &'a str,
    /// `pods`.
    pub resource: &'a str,
    /// `log`; empty for none.
    pub subresource: &'a str,
    /// The namespace; empty for what belongs to none.
    pub namespace: &'a str,
    /// One object; empty for all.
    pub name: &'a str,
}

/// An API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterAbout {
    /// `v1.33.2`.
    pub version: Safe,
    /// Its clock, to the second, where it says it.
    pub clock: Option<Timestamp>,
    /// Who we are to it; older servers do not say.
    pub user: Option<Safe>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

#[derive(Deserialize)]
struct Reviewed<T> {
    status: T,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(default)]
    allowed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Myself {
    user_info: UserInfo,
}

#[derive(Deserialize)]
struct UserInfo {
    #[serde(default)]
    username: String,
}

impl Cluster {
    /// Whether the user may do this.
    ///
    /// # Errors
    /// As `get`: some clusters take even this question from their users.
    pub async fn allows(&self, question: &AccessQuestion<'_>) -> Result<bool> {
        let AccessQuestion { verb, group, resource, subresource, namespace, name } = question;
        let doing = safe!("asking whether {} of {} is allowed", Safe::name(verb), Safe::name(resource));
        let spec = json!({"resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace, "name": name,
        }});
        let review: Allowed = self.review(doing, "authorization.k8s.io/v1", "SelfSubjectAccessReview", spec).await?;
        Ok(review.allowed)
    }

    /// What it is and who we are.
    ///
    /// # Errors
    /// As `get`.
    pub async fn about(&self) -> Result<ClusterAbout> {
        let ask = Ask::new("asking the cluster for its version".into(), "/version".into(), "get", "version", None);
        let response = self.send(&ask, &ask.path, UNARY).await?;
        if !response.status().is_success() {
            return Err(self.refused(&ask, response).await);
        }
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let clock = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let version: Version = self.body(&ask, response).await?;
        let doing = safe!("asking the cluster who we are");
        let myself: Result<Myself> = self.review(doing, "authentication.k8s.io/v1", "SelfSubjectReview", json!({})).await;
        let user = myself.ok().map(|myself| Safe::name(myself.user_info.username));
        Ok(ClusterAbout { version: Safe::name(version.git_version), clock, user })
    }

    async fn review<T: DeserializeOwned>(&self, doing: Safe, api: &'static str, kind: &'static str, spec: Value) -> Result<T> {
        let path = format!("/apis/{api}/{}s", kind.to_lowercase());
        let ask = Ask::new(doing, path, "create", Safe::name(format!("{}s", kind.to_lowercase())), None);
        let what = json!({"apiVersion": api, "kind": kind, "spec": spec});
        let request = Request::post(&ask.path).header(header::CONTENT_TYPE, "application/json");
        let request = request
            .body(Body::from(what.to_string().into_bytes()))
            .map_err(|_| Error::new(Kind::Bug, ask.doing.clone()).what("the path is no URI"))?;
        let response = match tokio::time::timeout(UNARY, self.credentials.client().send(request)).await {
            Err(_) => return Err(self.late(&ask, UNARY).0),
            Ok(Err(e)) => return Err(fault::of_transport(&e, &ask, self)),
            Ok(Ok(response)) => response,
        };
        if !response.status().is_success() {
            return Err(self.refused(&ask, response).await);
        }
        let review: Reviewed<T> = self.body(&ask, response).await?;
        Ok(review.status)
    }

    async fn body<T: DeserializeOwned>(&self, ask: &Ask, response: http::Response<Body>) -> Result<T> {
        let limited = http_body_util::Limited::new(response.into_body(), 1 << 20);
        let body = tokio::time::timeout(UNARY, limited.collect()).await.map_err(|_| self.late(ask, UNARY).0)?;
        let body = body.map_err(|e| {
            let cause = self.redact.safe(fault::root_cause(&*e).as_bytes());
            Error::new(Kind::Unreachable, ask.doing.clone()).to(self.provenance()).what(safe!("the answer broke off: {}", cause))
        })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| {
            Error::new(Kind::Protocol, ask.doing.clone()).to(self.provenance()).what("the answer is not what Kubernetes sends")
        })
    }
}
