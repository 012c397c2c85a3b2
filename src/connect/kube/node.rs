//! What reads a node's own files through the API server: whether the user may, and answers that begin in the middle.

use super::{Ask, Cluster, FIRST_BYTE, UNARY, fault};
use crate::{
    error::{Error, Kind, Result},
    text::Safe,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use std::time::Duration;

const REVIEW: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What the server's authorizer says of a request that was not made.
#[derive(serde::Deserialize)]
struct Review {
    #[serde(default)]
    status: ReviewStatus,
}

#[derive(Default, serde::Deserialize)]
struct ReviewStatus {
    #[serde(default)]
    allowed: bool,
}

impl Cluster {
    /// Whether the user may do this with one object, or with every object where none is named. It is a question to the server's
    /// authorizer: nothing is made or changed.
    ///
    /// # Errors
    /// As `get`: some clusters take even this question from their users.
    pub async fn may(&self, verb: &str, resource: &str, subresource: &str, name: Option<&str>) -> Result<bool> {
        let doing = crate::safe!("asking whether {} on {}/{} is allowed", Safe::name(verb), Safe::name(resource), Safe::name(subresource));
        let ask = Ask::new(doing, REVIEW.to_owned(), "create", "selfsubjectaccessreviews", None);
        let what = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "resource": resource, "subresource": subresource, "name": name.unwrap_or_default()}},
        });
        let request =
            Request::post(REVIEW).header(header::CONTENT_TYPE, "application/json").body(Body::from(what.to_string().into_bytes()));
        let request = request.map_err(|_| Error::new(Kind::Bug, ask.doing.clone()).what("the path is no URI"))?;
        let response = self.within(&ask, UNARY, request).await?;
        if !response.status().is_success() {
            return Err(self.refused(&ask, response).await);
        }
        let limited = http_body_util::Limited::new(response.into_body(), 1 << 20);
        let body = tokio::time::timeout(UNARY, limited.collect()).await.map_err(|_| self.late(&ask, UNARY).0)?;
        let body = body.map_err(|e| {
            let cause = self.redact.safe(fault::root_cause(&*e).as_bytes());
            Error::new(Kind::Unreachable, ask.doing.clone()).to(self.provenance()).what(crate::safe!("the answer broke off: {}", cause))
        })?;
        let review: Review = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| Error::new(Kind::Protocol, ask.doing.clone()).to(self.provenance()).what("the answer is no review"))?;
        Ok(review.status.allowed)
    }

    /// Opens a file of a node at a byte of it; with `upto` no byte from there on. The number says at which byte the answer begins: a
    /// server that knows no ranges begins at 0.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open_at(&self, ask: &Ask, from: u64, upto: Option<u64>) -> Result<(Body, u64)> {
        let mut request = Request::get(&ask.path);
        if from > 0 || upto.is_some() {
            let upto = upto.map(|end| end.saturating_sub(1).to_string()).unwrap_or_default();
            request = request.header(header::RANGE, format!("bytes={from}-{upto}"));
        }
        let request = request.body(Body::empty()).map_err(|_| Error::new(Kind::Bug, ask.doing.clone()).what("the path is no URI"))?;
        let response = self.within(ask, FIRST_BYTE, request).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => Ok((response.into_body(), from)),
            // Nothing was written after that byte.
            StatusCode::RANGE_NOT_SATISFIABLE => Ok((Body::from(Bytes::new().to_vec()), from)),
            status if status.is_success() => Ok((response.into_body(), 0)),
            _ => Err(self.refused(ask, response).await),
        }
    }

    async fn within(&self, ask: &Ask, within: Duration, request: Request<Body>) -> Result<Response<Body>> {
        match tokio::time::timeout(within, self.credentials.client().send(request)).await {
            Err(_) => Err(self.late(ask, within).0),
            Ok(Err(e)) => Err(fault::of_transport(&e, ask, self)),
            Ok(Ok(response)) => Ok(response),
        }
    }
}
