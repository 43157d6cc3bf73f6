//! Owns the hash that puts a user into one of 10,000 buckets of a flag.
//! Refuses to depend on anything but the flag's key and the user's: the same user gets the same answer for ever.

use sha2::{Digest, Sha256};

use crate::weight::Weight;

/// The bucket of a user, 0 to 9,999: the first eight bytes of SHA-256 over `flag key`, a zero byte, `targeting key`,
/// as a big-endian number, modulo 10,000.
///
/// A user is in when the bucket is below the weight in basis points. So raising the weight never takes a user out,
/// lowering it never brings one in, and two flags do not pick the same users.
pub fn bucket(flag: &str, targeting_key: &str) -> u16 {
    let digest = Sha256::new()
        .chain_update(flag)
        .chain_update([0])
        .chain_update(targeting_key)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let bucket = u64::from_be_bytes(first) % 10_000;
    // Below 10,000, so it fits.
    u16::try_from(bucket).unwrap_or_default()
}

/// Whether a user is in at this weight.
pub fn is_in(flag: &str, targeting_key: &str, weight: Weight) -> bool {
    bucket(flag, targeting_key) < weight.basis_points()
}
