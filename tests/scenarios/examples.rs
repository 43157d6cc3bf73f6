//! The examples, carried out: their own files, with bakes of a moment, an Alertmanager that runs on their own routes, and a strict
//! cluster that holds their own manifests. From the start to the end, and from an alert of their own rules back to zero.

mod blue_green;
mod network;
mod people;
mod rules;
mod story;
mod weekly_replicas;
