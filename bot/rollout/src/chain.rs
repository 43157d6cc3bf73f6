//! Owns the hash chain over a log: each line carries the hash of everything before it.
//! Refuses to say who tampered; it says where the chain breaks first.

use sha2::{Digest, Sha256};

use crate::entry::Entry;

/// The hash of a line and, through it, of all lines before.
pub type Hash = [u8; 32];

/// What the first line of a chain builds on: the hash of the chain's name, so that chains cannot be swapped.
pub fn anchor(chain: &str) -> Hash {
    Sha256::new()
        .chain_update(b"tidegate log chain\0")
        .chain_update(chain)
        .finalize()
        .into()
}

/// The hash of line `number` (from 1), given the hash of the line before. Fields are length-prefixed, so that moving
/// a character from one field to the next changes the hash. Where a person spoke is hashed if it is known: lines from
/// before that was kept have the hash they had.
pub fn link(previous: &Hash, number: u64, entry: &Entry) -> Hash {
    let mut hasher = Sha256::new().chain_update(previous).chain_update(number.to_be_bytes());
    hasher.update(entry.at.as_nanosecond().to_be_bytes());
    let surface = entry.surface.map(crate::person::Surface::word);
    let fields = [entry.kind.as_str(), &entry.by, &entry.text].into_iter().chain(surface);
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}

/// Checks a whole chain; `Err` names the number of the first line that does not fit.
pub fn verify<'a>(chain: &str, lines: impl IntoIterator<Item = (u64, &'a Entry, Hash)>) -> Result<u64, u64> {
    verify_after(0, anchor(chain), lines)
}

/// As [`verify`], for a chain whose first lines are gone: `count` of them, the last with the hash `previous`.
pub fn verify_after<'a>(
    mut count: u64,
    mut previous: Hash,
    lines: impl IntoIterator<Item = (u64, &'a Entry, Hash)>,
) -> Result<u64, u64> {
    for (number, entry, hash) in lines {
        let expected = count + 1;
        if number != expected || link(&previous, number, entry) != hash {
            return Err(expected);
        }
        previous = hash;
        count = number;
    }
    Ok(count)
}
