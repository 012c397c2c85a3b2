//! Who we are to the server, over a long time: a token of minutes runs out while its follow goes on for hours. When the server does not accept
//! it any more, the kubeconfig is read and its plugin run again, as a new kubectl would do.

use super::{Cluster, KubeAsk, client, kubeconfig};
use kube::Client;
use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};

/// Not more often than this: a plugin may ask a person.
const AGAIN: Duration = Duration::from_secs(10);

/// The client of now, and how it was made.
pub(super) struct Credentials {
    client: RwLock<Client>,
    ask: KubeAsk,
    made: Mutex<Instant>,
}

impl Credentials {
    pub(super) fn new(client: Client, ask: KubeAsk) -> Self {
        Self { client: RwLock::new(client), ask, made: Mutex::new(Instant::now()) }
    }

    pub(super) fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a new client; whether there is one that is worth a try.
    pub(super) async fn renew(&self, cluster: &Cluster) -> bool {
        let asked = Instant::now();
        let mut made = self.made.lock().await;
        if *made > asked {
            // Somebody else has, while we waited.
            return true;
        }
        if made.elapsed() < AGAIN {
            return false;
        }
        *made = Instant::now();
        let Ok(loaded) = kubeconfig::load(&self.ask).await else { return false };
        // A kubeconfig that names another cluster by now is no way to this one.
        if loaded.context != cluster.context || loaded.server != cluster.server {
            return false;
        }
        let Ok(client) = client::build(&loaded.config) else { return false };
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        true
    }
}
