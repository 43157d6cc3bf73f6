//! The hook routes as a sender meets them: whole requests in, whole answers out, and what was handed over in between.

mod alertmanager;
mod refusals;
#[cfg(test)]
mod world;
