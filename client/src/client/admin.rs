//! What administrators have a cluster do.

use super::Client;
use crate::answer::document;
use crate::error::Error;
use crate::name::file_path;
use mdfs_protocol::public::{
    self, Announce, ForgetVoter, Policy, PolicyChange, Replicas, Retire, Scrubs, Tasks, Verified,
    Voters, WorkerOrder,
};
use serde::Serialize;

impl Client {
    /// Has everything moved off a worker, named by its name or its disk; goes on after the answer.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn drain(&self, worker: &str) -> Result<(), Error> {
        self.order(public::DRAIN, worker).await
    }

    /// Lets a drained worker take part again.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn undrain(&self, worker: &str) -> Result<(), Error> {
        self.order(public::UNDRAIN, worker).await
    }

    /// Has everything moved off a worker and its disk retired then; goes on after the answer.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`; `conflict` if the disk is a voter and no other can vote for it.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn decommission(&self, worker: &str) -> Result<(), Error> {
        self.order(public::DECOMMISSION, worker).await
    }

    /// Has a disk refused for ever, from now on. What it alone has is given up only with `lost`.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`; `conflict` if the disk is a voter; `would_lose_files` if it may
    /// have the last good copy of something and `lost` is false.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn retire(&self, worker: &str, lost: bool) -> Result<(), Error> {
        let retire = Retire {
            worker: worker.to_owned(),
            lost,
        };
        self.tell(public::RETIRE, worker, &retire).await
    }

    /// Has so many disks vote, 1, 2, 3 or 5; goes on after the answer.
    ///
    /// # Errors
    /// [`Error`]; `invalid_request` for another number.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn voters(&self, wanted: u8) -> Result<(), Error> {
        self.tell(public::VOTERS, "voters", &Voters { wanted })
            .await
    }

    /// Gives up a voter of a pair for ever, so that the other goes on alone. The caller vouches that its
    /// disk is lost, and that no process runs with it any more.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`; `conflict` if the disk answers, does not vote, or is not one of a
    /// pair.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn forget_voter(&self, worker: &str) -> Result<(), Error> {
        let forget = ForgetVoter {
            worker: worker.to_owned(),
            lost: true,
        };
        self.tell(public::FORGET_VOTER, worker, &forget).await
    }

    /// Announces that a worker is going to be silent for so many seconds, at most
    /// [`Announce::MOST_SECONDS`]; with zero, that it is not.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn announce(&self, worker: &str, seconds: u64) -> Result<(), Error> {
        let announce = Announce {
            worker: worker.to_owned(),
            seconds,
        };
        self.tell(public::ANNOUNCE, worker, &announce).await
    }

    /// Has the bytes on the workers evened out; goes on after the answer.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn rebalance(&self) -> Result<(), Error> {
        self.start(public::REBALANCE).await
    }

    /// Has missing copies made now, also of workers that are lost but still waited for.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn repair(&self) -> Result<(), Error> {
        self.start(public::REPAIR).await
    }

    /// The policy of the cluster.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn policy(&self) -> Result<Policy, Error> {
        self.fetch(public::POLICY).await
    }

    /// Changes the policy of the cluster; the answer is what it is then.
    ///
    /// # Errors
    /// [`Error`]; `conflict` if there are fewer workers than copies.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn change_policy(&self, change: &PolicyChange) -> Result<Policy, Error> {
        let path = public::POLICY;
        let request =
            |client: &Self, url: &str| client.http.post(format!("{url}{path}")).json(change);
        document(path, self.repeat(path, request).await?).await
    }

    /// What goes on in the background.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn tasks(&self) -> Result<Tasks, Error> {
        self.fetch(public::TASKS).await
    }

    /// Has every worker read all it holds, from now on; what is damaged is mended by and by.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn begin_scrub(&self) -> Result<Scrubs, Error> {
        let path = public::SCRUB;
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}"));
        document(path, self.repeat(path, request).await?).await
    }

    /// How far the workers are with reading all they hold.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn scrub(&self) -> Result<Scrubs, Error> {
        self.fetch(public::SCRUB).await
    }

    /// Has all copies of a file read where they are, and compared. Takes as long as the disks need,
    /// at most [`crate::ClientConfig::long_stall`].
    ///
    /// # Errors
    /// [`Error`]; `file_not_found`. A copy that is not good is no error, but in the answer.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn verify(&self, name: &str) -> Result<Verified, Error> {
        let path = file_path(name)?;
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}?verify"));
        let stall = self.config.long_stall;
        document(name, self.repeat_within(stall, name, request).await?).await
    }

    /// Which disks have, or are about to have, which chunks of a file, and whether they answer. The
    /// leader's view: [`Client::verify`] has the copies read.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found`.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn replicas(&self, name: &str) -> Result<Replicas, Error> {
        let path = file_path(name)?;
        let request = |client: &Self, url: &str| client.http.get(format!("{url}{path}?replicas"));
        document(name, self.repeat(name, request).await?).await
    }

    async fn order(&self, path: &str, worker: &str) -> Result<(), Error> {
        let order = WorkerOrder {
            worker: worker.to_owned(),
        };
        self.tell(path, worker, &order).await
    }

    async fn tell<T: Serialize + Sync>(
        &self,
        path: &str,
        subject: &str,
        what: &T,
    ) -> Result<(), Error> {
        let request =
            |client: &Self, url: &str| client.http.post(format!("{url}{path}")).json(what);
        self.repeat(subject, request).await.map(|_| ())
    }

    async fn start(&self, path: &str) -> Result<(), Error> {
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}"));
        self.repeat(path, request).await.map(|_| ())
    }
}
