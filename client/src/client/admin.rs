//! What administrators have a cluster do.

use super::Client;
use crate::answer::document;
use crate::error::Error;
use mdfs_protocol::public::{self, Verified, WorkerOrder, file_path};

impl Client {
    /// Has everything moved off a worker, named by its name or its disk; goes on after the answer.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`.
    pub async fn drain(&self, worker: &str) -> Result<(), Error> {
        self.order(public::DRAIN, worker).await
    }

    /// Lets a drained worker take part again.
    ///
    /// # Errors
    /// [`Error`]; `worker_not_found`.
    pub async fn undrain(&self, worker: &str) -> Result<(), Error> {
        self.order(public::UNDRAIN, worker).await
    }

    /// Has the bytes on the workers evened out; goes on after the answer.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn rebalance(&self) -> Result<(), Error> {
        self.start(public::REBALANCE).await
    }

    /// Has missing copies made now, also of workers that are lost but still waited for.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn repair(&self) -> Result<(), Error> {
        self.start(public::REPAIR).await
    }

    /// Has all copies of a file read where they are, and compared. Takes as long as the disks need:
    /// for large files, choose a client whose calls may last.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found`. A copy that is not good is no error, but in the answer.
    pub async fn verify(&self, name: &str) -> Result<Verified, Error> {
        let path = file_path(name);
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}?verify"));
        document(name, self.repeat(name, request).await?).await
    }

    async fn order(&self, path: &str, worker: &str) -> Result<(), Error> {
        let order = WorkerOrder {
            worker: worker.to_owned(),
        };
        let request =
            |client: &Self, url: &str| client.http.post(format!("{url}{path}")).json(&order);
        self.repeat(worker, request).await.map(|_| ())
    }

    async fn start(&self, path: &str) -> Result<(), Error> {
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}"));
        self.repeat(path, request).await.map(|_| ())
    }
}
