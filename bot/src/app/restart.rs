//! Owns the list of settings that only a restart can change: addresses, storage, the form of the log, the bounds of the doors.
//! Refuses to let a reload pretend: what is on the list stays as it was at the start, and is named.

use secrecy::ExposeSecret;

use crate::config::Config;

/// Puts back into `next` whatever only a restart can change, and says which of it would be different.
pub(super) fn keep(started: &Config, next: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    macro_rules! keep {
        ($($key:literal: $section:ident.$field:ident),+ $(,)?) => {
            $(if next.$section.$field != started.$section.$field {
                kept.push($key);
                next.$section.$field.clone_from(&started.$section.$field);
            })+
        };
    }
    keep! {
        "web.listen_address": web.listen_address,
        "web.control_address": web.control_address,
        "web.route_prefix": web.route_prefix,
        "storage.path": storage.path,
        "storage.pool": storage.pool,
        "log.format": log.format,
        "limits.body": limits.body,
        "limits.bodies_in_flight": limits.bodies_in_flight,
        "limits.requests_in_flight": limits.requests_in_flight,
        "limits.connections": limits.connections,
        "limits.header_timeout": limits.header_timeout,
        "limits.body_timeout": limits.body_timeout,
        "limits.shutdown_timeout": limits.shutdown_timeout,
    }
    let url = |config: &Config| {
        config
            .storage
            .postgres_url
            .as_ref()
            .map(|url| url.expose_secret().to_owned())
    };
    if url(next) != url(started) {
        kept.push("storage.postgres_url");
        next.storage.postgres_url.clone_from(&started.storage.postgres_url);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn with(key: &'static str, value: &str) -> Config {
        let sources = Sources {
            flags: vec![(key, value.to_owned())],
            ..Sources::default()
        };
        sources.load().unwrap()
    }

    #[test]
    fn what_needs_a_restart_stays_and_is_named() {
        let started = Config::defaults().unwrap();
        for (key, value) in [
            ("web.listen_address", ":1"),
            ("web.control_address", ":2"),
            ("web.route_prefix", "/gate"),
            ("storage.path", "elsewhere"),
            ("storage.pool", "3"),
            ("log.format", "json"),
            ("limits.body", "1MiB"),
            ("limits.bodies_in_flight", "64MiB"),
            ("limits.requests_in_flight", "9"),
            ("limits.connections", "99"),
            ("limits.header_timeout", "1s"),
            ("limits.body_timeout", "1s"),
            ("limits.shutdown_timeout", "1s"),
        ] {
            let mut next = with(key, value);
            assert_eq!(keep(&started, &mut next), [key]);
            assert_eq!(format!("{next:?}"), format!("{started:?}"), "{key}");
        }
        let mut next = Config::defaults().unwrap();
        next.storage.postgres_url = Some("postgres://u:p@db/x".into());
        assert_eq!(keep(&started, &mut next), ["storage.postgres_url"]);
        assert!(next.storage.postgres_url.is_none());
    }

    #[test]
    fn what_a_reload_changes_is_not_on_the_list() {
        let started = Config::defaults().unwrap();
        for (key, value) in [
            ("web.external_url", "https://gate.example"),
            ("web.enable_lifecycle", "true"),
            ("web.session", "1h"),
            ("storage.keep", "1d"),
            ("log.level", "debug"),
            ("alerts.poll_every", "3s"),
            ("alerts.watchdog_fresh", "60s"),
            ("environments.budget.window", "1h"),
        ] {
            let mut next = with(key, value);
            let wanted = format!("{next:?}");
            assert_eq!(keep(&started, &mut next), Vec::<&str>::new());
            assert_eq!(format!("{next:?}"), wanted);
            assert_ne!(wanted, format!("{started:?}"), "{key}");
        }
    }
}
