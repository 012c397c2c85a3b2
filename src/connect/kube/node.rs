//! What reads a node's own files through the API server: answers that begin in the middle. Whether the user may is asked in `review`.

use super::{Ask, Cluster, FIRST_BYTE, fault};
use crate::error::{Error, Kind, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use kube::client::Body;
use std::time::Duration;

impl Cluster {
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
