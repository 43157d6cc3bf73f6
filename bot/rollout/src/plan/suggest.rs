//! Owned by the plan room; filled next.
