//! The drivers in Kubernetes: the real server against a strict, stateful API that has conflicts, rights and pods of its own mind.
//!
//! The server has exactly the rights of the manifests that users apply. Whatever the API does to it, the capacity never falls
//! below the floor, the new version ends at zero or somebody is told exactly what is left, and nobody's word is overwritten twice.

mod contract;
mod deaths;
mod faults;
pub(crate) mod house;
mod in_cluster;
mod ladder;
pub(crate) mod moved;
mod pod_logs;
mod replicas;
pub(crate) mod rights;
pub(crate) mod route;
mod selector;
mod watches;
mod way_back;
