//! Owns the replay store: what proved a request of a chat platform, once it was taken.
//! Refuses to take anything twice, on any replica. [`super::prune`] forgets what could not be believed any more.

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::sql::statements;
use super::value::Value;

statements! {
    TAKE: "remember what proved a request" =
        "INSERT INTO proofs (digest, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
}

impl Store {
    /// Takes what proves a request, once: `false` when it was taken before, here or by another replica.
    ///
    /// # Errors
    /// When it could not be saved; the request must not be believed then.
    pub async fn take_proof(&self, digest: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        let values = [Value::Bytes(digest), now.into()];
        Ok(self.engine().execute(&TAKE, &values).await? == 1)
    }
}
