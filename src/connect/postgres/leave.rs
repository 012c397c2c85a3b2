//! The end of a session: the server is told of it before the way there is torn down. A server that is not told finds out by itself, which
//! through a tunnel takes it seconds, and as long the session counts against its role's limit of connections.

use std::{future::Future, pin::pin, sync::LazyLock, time::Duration};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a session may take to end once nobody needs it: a server that hangs is not waited for.
const LEAVE: Duration = Duration::from_secs(2);
/// How long the end of the process waits for that.
const FAREWELL: Duration = Duration::from_millis(500);

/// The sessions whose server has not been told of their end.
static OPEN: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Waits until every session that was dropped has ended, for a moment at most: then the process may end.
pub async fn farewell() {
    let mut open = OPEN.subscribe();
    let _ = tokio::time::timeout(FAREWELL, open.wait_for(|count| *count == 0)).await;
}

/// Drives a session, and after its owner has gone for as long as a goodbye takes.
pub(super) struct Leave {
    driver: JoinSet<()>,
    _gone: DropGuard,
}

impl Leave {
    /// For a driver that ends by itself once its client is gone and everything was said.
    pub(super) fn of(driver: impl Future<Output = ()> + Send + 'static) -> Self {
        let gone = CancellationToken::new();
        let told = gone.clone();
        let counted = Counted::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _counted = counted;
            let mut driver = pin!(driver);
            tokio::select! {
                () = &mut driver => return,
                () = told.cancelled() => {}
            }
            let _ = tokio::time::timeout(LEAVE, driver).await;
        });
        Self { driver: tasks, _gone: gone.drop_guard() }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.driver.detach_all();
    }
}

/// A session that counts.
struct Counted;

impl Counted {
    fn new() -> Self {
        OPEN.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.send_modify(|count| *count -= 1);
    }
}
