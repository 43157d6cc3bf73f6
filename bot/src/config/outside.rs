//! Owns the world outside as the configuration allows it: hosts that may be called, hooks, templates, limits.
//! Refuses to believe a plan about any of it: plans name things, and this says what the names mean.

use std::path::PathBuf;
use std::str::FromStr;

use tidegate_rollout::Period;
use url::Url;

use super::section::{Section, brief};
use crate::net::HostRule;

/// What the outside may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a webhook, in bytes.
    pub body: usize,
    /// What all bodies in flight may hold together, in bytes.
    pub bodies_in_flight: usize,
    /// How many webhook requests may be in flight.
    pub requests_in_flight: usize,
    /// How many connections may be open at each address.
    pub connections: usize,
    /// How long a client may take for the head of a request.
    pub header_timeout: Period,
    /// How long a client may take for its body.
    pub body_timeout: Period,
    /// How long requests may take to end when the server stops.
    pub shutdown_timeout: Period,
}

impl Limits {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let limits = Self {
            body: section.required::<Size>("body").0,
            bodies_in_flight: section.required::<Size>("bodies_in_flight").0,
            requests_in_flight: section.number("requests_in_flight"),
            connections: section.number("connections"),
            header_timeout: section.required("header_timeout"),
            body_timeout: section.required("body_timeout"),
            shutdown_timeout: section.required("shutdown_timeout"),
        };
        if limits.body < 64 << 10 {
            section.fault(
                "body",
                "must be at least `64KiB`: a larger group of alerts would be lost",
            );
        }
        // One eighth is kept for senders that prove themselves only by a signature.
        if limits.bodies_in_flight / 8 < limits.body.min(1 << 20) {
            section.fault("bodies_in_flight", "must be at least eight times `body`, or `8MiB`");
        }
        if limits.requests_in_flight < 8 {
            section.fault("requests_in_flight", "must be at least 8");
        }
        if limits.connections < 16 {
            section.fault("connections", "must be at least 16");
        }
        for (key, period) in [
            ("header_timeout", limits.header_timeout),
            ("body_timeout", limits.body_timeout),
        ] {
            let why = "a client that drips must be cut off";
            section.within(key, period, Period::millis(100), Period::minutes(5), why);
        }
        if limits.shutdown_timeout > Period::minutes(5) {
            section.fault(
                "shutdown_timeout",
                "must be at most `5m`: who stops a server waits for it",
            );
        }
        limits
    }
}

/// An amount of bytes: `64KiB`, `8MiB`, `1GiB`, or a plain number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size(usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor: Option<usize> = match unit.trim() {
            "" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let size = factor.and_then(|factor| number.parse::<usize>().ok()?.checked_mul(factor));
        // A semaphore cannot count further.
        size.filter(|size| *size <= u32::MAX as usize)
            .map(Self)
            .ok_or_else(|| format!("`{}` is no size up to 4 GiB: write `64KiB` or `8MiB`", brief(text)))
    }
}

/// What plans may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Hosts that may be called besides those this configuration itself names.
    pub egress: Vec<HostRule>,
    /// What hooks may do.
    pub hooks: Hooks,
    /// A directory whose templates replace the built-in ones of the same name.
    pub templates: Option<PathBuf>,
}

impl Outside {
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        Self {
            egress: root.section("egress", |section| section.list("allow")),
            hooks: root.section("hooks", Hooks::read),
            templates: root.section("templates", directory),
        }
    }
}

/// What hooks of plans may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// The only directory that commands may lie below; without it none is run.
    pub directory: Option<PathBuf>,
    /// The names of the variables of the server's own environment that commands are given.
    pub environment: Vec<String>,
    /// The Kubernetes namespaces in which Jobs may be made.
    pub namespaces: Vec<String>,
}

impl Hooks {
    fn read(section: &mut Section<'_>) -> Self {
        let hooks = Self {
            directory: directory(section),
            environment: section.list("environment"),
            namespaces: section.list("namespaces"),
        };
        let ours = |name: &&String| name.to_uppercase().starts_with("TIDEGATE_");
        if let Some(name) = hooks.environment.iter().find(ours) {
            section.fault(
                "environment",
                format_args!(
                    "`{}` is Tidegate's own and given to nobody: it may be a secret",
                    brief(name)
                ),
            );
        }
        let odd = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        if let Some(name) = hooks.environment.iter().find(odd) {
            section.fault(
                "environment",
                format_args!("`{}` is no name of a variable", brief(name)),
            );
        }
        hooks
    }
}

fn directory(section: &mut Section<'_>) -> Option<PathBuf> {
    let directory = section.file("directory")?;
    if !directory.is_dir() {
        section.fault("directory", format_args!("{} is no directory", directory.display()));
    }
    Some(directory)
}

/// The host and port of an address, as a rule that allows exactly it.
pub(super) fn rule_of(url: &Url) -> Option<HostRule> {
    HostRule::of(url)
}
