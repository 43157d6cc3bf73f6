//! The hook routes as a sender meets them: whole requests in, whole answers out, and what was handed over in between.

#[cfg(test)]
mod alertmanager;
#[cfg(test)]
mod discord;
#[cfg(test)]
mod grafana;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod pagerduty;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod slack;
#[cfg(test)]
mod world;
