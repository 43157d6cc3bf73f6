//! Owns the replay store: what proved a request of a chat platform, once it was taken.
//! Refuses to take anything twice, on any replica. [`super::prune`] forgets what could not be believed any more.

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::Store;
use super::error::StoreError;
use super::writer::Job;

impl Store {
    /// Takes what proves a request, once: `false` when it was taken before, here or by another replica.
    ///
    /// # Errors
    /// When it could not be saved; the request must not be believed then.
    pub async fn take_proof(&self, digest: &[u8; 32], at: Timestamp) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        let digest = *digest;
        self.hand_over(Job::TakeProof { digest, at, answer }).await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}
