//! The only way to the QuotaTracker.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, ArbiterHandle};
use arc_swap::ArcSwapOption;
use tokio::sync::broadcast;

use super::actor::QuotaTracker;
use super::error::QuotaError;
use super::messages::{CountThrough, Stop, TakeUp};
use super::worker::{Signals, Worker};
use crate::bucket_config::QuotaLimits;
use crate::call::Door;
use crate::iam::{Directory, IamClient};
use crate::names::CanonicalId;
use crate::storage::{LimitOwners, QuotaAccount, QuotaScope, QuotaWarning, StorageClient};

const CALLS_MAX: usize = 4096;
const DEADLINE: Duration = Duration::from_secs(60);

/// What client and actor share.
#[derive(Debug)]
pub(super) struct Shared {
    storage: StorageClient,
    iam: IamClient,
    /// The users whose quotas Storage has. Held, so that its address says which it is.
    taken: ArcSwapOption<Directory>,
}

impl Shared {
    /// Whether Storage has the quotas of the users as they are now.
    fn is_current(&self) -> bool {
        let now = self.iam.directory();
        self.taken.load().as_ref().is_some_and(|taken| Arc::ptr_eq(taken, &now))
    }

    /// Brings the users' quotas to Storage.
    pub async fn take_up(&self) -> Result<(), QuotaError> {
        if self.is_current() {
            return Ok(());
        }
        let directory = self.iam.directory();
        let changes = self.changes(&directory);
        for some in changes.chunks(LimitOwners::CHANGES_MAX) {
            self.storage.limit_owners(LimitOwners { limits: some.to_vec() }).await?;
        }
        self.taken.store(Some(directory));
        Ok(())
    }

    /// What differs from what Storage has.
    fn changes(&self, directory: &Directory) -> Vec<(CanonicalId, Option<QuotaLimits>)> {
        let limits_of =
            |id: &CanonicalId| directory.user_by_id(id).map(|user| user.quota).filter(|quota| !quota.is_unlimited());
        let mut changes: Vec<_> = self
            .storage
            .metered_owners()
            .into_iter()
            .filter(|owner| limits_of(owner).is_none())
            .map(|owner| (owner, None))
            .collect();
        for user in directory.users().iter().filter(|user| !user.quota.is_unlimited()) {
            let account = self.storage.quota_account(&QuotaScope::Owner(user.user_id.clone()));
            if account.is_none_or(|account| account.limits != user.quota) {
                changes.push((user.user_id.clone(), Some(user.quota)));
            }
        }
        changes
    }
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QuotaTrackerClient {
    door: Door<QuotaTracker>,
    shared: Arc<Shared>,
}

impl QuotaTrackerClient {
    /// Starts the actor on an arbiter, and waits until Storage has the quotas of all users. Where it does not take them, who wants to
    /// write is refused by [`Self::refresh`] until it does.
    pub async fn start(storage: StorageClient, iam: IamClient, arbiter: &ArbiterHandle) -> Self {
        let worker = Worker { storage: storage.clone(), signals: Arc::new(Signals::default()) };
        let shared = Arc::new(Shared { storage, iam, taken: ArcSwapOption::empty() });
        let own = Arc::clone(&shared);
        let address = QuotaTracker::start_in_arbiter(arbiter, move |_| QuotaTracker::new(own, worker));
        let client = Self { door: Door::new(address, CALLS_MAX, DEADLINE), shared };
        if let Err(error) = client.refresh().await {
            tracing::warn!(%error, "the quotas of users are not in force yet: nothing is written until they are");
        }
        client
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Has the quotas of users be what IAM says now; costs a comparison while nothing has changed.
    pub async fn refresh(&self) -> Result<(), QuotaError> {
        match self.shared.is_current() {
            true => Ok(()),
            false => Ok(self.door.call(TakeUp).await?),
        }
    }

    /// How full a quota is; none where there is none.
    pub fn account(&self, scope: &QuotaScope) -> Option<QuotaAccount> {
        self.shared.storage.quota_account(scope)
    }

    /// How full each quota is.
    pub fn accounts(&self) -> Vec<(QuotaScope, QuotaAccount)> {
        self.shared.storage.quota_accounts()
    }

    /// Hears of every quota that comes to a warning threshold from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<QuotaWarning>> {
        self.shared.storage.listen_to_quotas()
    }

    /// Waits until everything that quotas are of is counted.
    pub async fn count_through(&self) -> Result<(), QuotaError> {
        Ok(self.door.call(CountThrough).await?)
    }

    /// Ends the work after the step that is under way.
    pub async fn stop(&self) -> Result<(), QuotaError> {
        Ok(self.door.call(Stop).await?)
    }
}
