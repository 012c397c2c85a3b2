//! What a node says of a container's log files: which there are, what is in them, whether the user may see them. In which order they are
//! read, and what is lost where they change meanwhile, is `kubelet`'s matter.

use super::{Pods, Reader, kubelet::Shelf};
use crate::{
    connect::kube::{AccessQuestion, Ask, encode},
    error::{Error, Kind, Result},
    logs::decode::node::{self, NodeFile},
    safe,
    text::Safe,
};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use jiff::Timestamp;
use std::{io::Write, time::Duration};

/// A file that sends nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(30);
/// The most of a folder's page that is read.
const PAGE: usize = 8 << 20;
/// How much of a file is read for the time of its first line.
const HEAD: u64 = 4096;

/// Why a step failed.
pub(super) enum Fault {
    /// The file is not there any more: it was renamed, compressed or deleted.
    Moved,
    /// The compressed file is cut short or damaged.
    Damaged(Safe),
    /// Not allowed, after it was.
    Refused,
    /// Anything else: no such node, no answer, a stream that broke off.
    Broken(Safe),
}

impl Fault {
    fn of(error: &Error) -> Self {
        match error.kind() {
            // The API server's own words; a file that is gone is the kubelet's.
            Kind::NotFound if error.what_happened().contains("nodes \"") => Self::Broken("there is no such node any more".into()),
            Kind::NotFound => Self::Moved,
            Kind::Denied | Kind::Auth => Self::Refused,
            _ => Self::Broken(error.what_happened().clone()),
        }
    }
}

impl Reader<'_> {
    /// The container's folder. Its pod's UID is part of the name; a static pod's folder bears the UID that the kubelet gave it, so the
    /// folders of the node are looked through where the first guess is wrong.
    pub(super) async fn folder(&self, node: &str) -> Result<(String, Safe), Fault> {
        let pod = &self.known.chosen.pod;
        let root = format!("/api/v1/nodes/{}/proxy/logs/pods/", encode(node));
        let container = encode(&self.known.container.name);
        let says = safe!("the files of {} on {}", pod.path(), Safe::name(node));
        let guess = format!("{root}{}_{}_{}/{container}/", encode(&pod.namespace), encode(&pod.name), encode(&pod.uid));
        match self.page(&says, &guess).await {
            Ok(_) => return Ok((guess, says)),
            Err(Fault::Moved) => {}
            Err(other) => return Err(other),
        }
        let begins = format!("{}_{}_", pod.namespace, pod.name);
        let page = self.page(&says, &root).await?;
        let folder = node::names(&page).into_iter().find(|n| n.starts_with(&begins)).ok_or(Fault::Moved)?;
        let path = format!("{root}{folder}/{container}/");
        self.page(&says, &path).await?;
        Ok((path, says))
    }

    pub(super) async fn page(&self, says: &Safe, path: &str) -> Result<String, Fault> {
        let (body, _) = self.pods.cluster.open_at(&ask(says, path.to_owned()), 0, None).await.map_err(|e| Fault::of(&e))?;
        let read = tokio::time::timeout(STALLED, http_body_util::Limited::new(body, PAGE).collect()).await;
        let bytes = read.map_err(|_| Fault::Broken("the node does not answer".into()))?;
        let bytes = bytes.map_err(|e| Fault::Broken(self.pods.cluster.redactor().safe(e.to_string().as_bytes())))?.to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The files that are there now, in the order in which they were written.
    pub(super) async fn list(&self, shelf: &Shelf) -> Result<Vec<NodeFile>, Fault> {
        let mut files = node::listing(&self.page(&shelf.folder, &shelf.path).await?);
        if self.query.previous {
            let newest = files.iter().map(|f| f.life).max().unwrap_or(0);
            files.retain(|f| f.life + 1 == newest);
        }
        Ok(files)
    }

    pub(super) async fn open(&self, shelf: &Shelf, file: &NodeFile) -> Result<(kube::client::Body, u64), Fault> {
        // Of a compressed file only the beginning is a beginning.
        let from = if file.gzipped { 0 } else { shelf.at };
        let ask = ask(&shelf.folder, format!("{}{}", shelf.path, encode(&file.name)));
        self.pods.cluster.open_at(&ask, from, None).await.map_err(|e| Fault::of(&e))
    }

    /// The time of the first line of a file; none when it is empty.
    pub(super) async fn first_line(&self, shelf: &Shelf, file: &NodeFile) -> Result<Option<Timestamp>, Fault> {
        let ask = ask(&shelf.folder, format!("{}{}", shelf.path, encode(&file.name)));
        let opened = self.pods.cluster.open_at(&ask, 0, Some(HEAD)).await;
        let (mut body, _) = match opened {
            Ok(opened) => opened,
            // It is being renamed: the listing that follows will say as what.
            Err(e) if e.kind() == Kind::NotFound => return Ok(None),
            Err(e) => return Err(Fault::of(&e)),
        };
        let mut decoder = file.gzipped.then(|| MultiGzDecoder::new(Vec::new()));
        let mut head = Vec::new();
        while let Some(data) = self.frame(&mut body).await? {
            match &mut decoder {
                None => head.extend_from_slice(&data),
                Some(decoder) => {
                    // Cut in the middle: what could be decompressed is all that is wanted.
                    let _ = decoder.write_all(&data);
                    let _ = decoder.flush();
                    head.append(decoder.get_mut());
                }
            }
            if head.len() as u64 >= HEAD {
                break;
            }
        }
        let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
        Ok(crate::logs::decode::time::in_front(line).map(|(at, _)| at))
    }

    /// The next bytes of a file; none at its end.
    pub(super) async fn frame(&self, body: &mut kube::client::Body) -> Result<Option<Bytes>, Fault> {
        loop {
            match tokio::time::timeout(STALLED, body.frame()).await {
                Err(_) => return Err(Fault::Broken(safe!("the stream stalled for {} s", STALLED.as_secs()))),
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(e))) => {
                    let how = self.pods.cluster.redactor().safe(e.to_string().as_bytes()).clipped(120);
                    return Err(Fault::Broken(safe!("the stream broke off: {}", how)));
                }
            }
        }
    }
}

impl Pods {
    /// Whether the user may read the files of a node: asked once for all nodes, then for those that a role names. The words of an error
    /// where it cannot be asked.
    pub(super) async fn node_rights(&self, node: &str) -> Result<bool, Safe> {
        let all = self.rights.get_or_init(|| async { self.cluster.allows(&files_of("")).await });
        match all.await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(e) => return Err(e.what_happened().clone()),
        }
        let mut named = self.named_rights.lock().await;
        if let Some(known) = named.get(node) {
            return Ok(*known);
        }
        let may = self.cluster.allows(&files_of(node)).await.map_err(|e| e.what_happened().clone())?;
        named.insert(node.to_owned(), may);
        Ok(may)
    }
}

/// Whether the files of this node may be read; of every node without a name.
fn files_of(node: &str) -> AccessQuestion<'_> {
    AccessQuestion { verb: "get", resource: "nodes", subresource: "proxy", name: node, ..AccessQuestion::default() }
}

fn ask(says: &Safe, path: String) -> Ask {
    Ask::new(safe!("reading {}", says), path, "get", "nodes/proxy", None)
}
