//! Owns which hosts and addresses may be called.
//! Refuses patterns: a host is named as a whole, because `*.example.com` is everybody who can register a name there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::{Host, Url};

use super::Forbidden;

/// One host that may be called, on one port or on all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    host: Host<String>,
    port: Option<u16>,
}

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no host: write `prometheus.example`, `prometheus.example:9090` or `[::1]:9090`, without `*`")]
pub struct NotAHost(String);

impl HostRule {
    /// Exactly the host and port of `url`; nothing for an address without a host.
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self {
            host: url.host()?.to_owned(),
            port: url.port_or_known_default(),
        })
    }

    /// The host as a connection takes it, and the port, where one is named.
    pub fn parts(&self) -> (String, Option<u16>) {
        let host = match &self.host {
            Host::Ipv6(v6) => v6.to_string(),
            other => other.to_string(),
        };
        (host, self.port)
    }

    fn allows(&self, url: &Url) -> bool {
        let same_host = url.host().is_some_and(|host| host.to_owned() == self.host);
        same_host && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }

    fn is_address(&self, address: IpAddr) -> bool {
        match self.host {
            Host::Ipv4(v4) => IpAddr::V4(v4) == address,
            Host::Ipv6(v6) => IpAddr::V6(v6).to_canonical() == address,
            Host::Domain(_) => false,
        }
    }
}

impl FromStr for HostRule {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let refuse = || NotAHost(text.chars().take(80).collect());
        let brackets = text.starts_with('[');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !brackets || host.ends_with(']') => (host, Some(port.parse().map_err(|_| refuse())?)),
            _ => (text, None),
        };
        if host.is_empty() || host.contains(['*', '/', '@']) {
            return Err(refuse());
        }
        let host = Host::parse(host).map_err(|_| refuse())?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// Everything that may be called.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<HostRule>);

impl Rules {
    /// These hosts and no others.
    pub fn new(allowed: Vec<HostRule>) -> Self {
        Self(allowed)
    }

    /// Whether `url` may be called, as far as it can be told without looking its name up.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let bare = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare {
            return Err(Forbidden::Kind);
        }
        if self.0.iter().any(|rule| rule.allows(url)) {
            Ok(())
        } else {
            Err(Forbidden::Host(url.host_str().unwrap_or_default().to_owned()))
        }
    }

    /// Whether the allowed name `host` may lead to `address`. Private networks are where the things stand that we call;
    /// the machine itself and the metadata of its cloud are not, unless their address is listed.
    pub fn leads_to(&self, host: &str, address: IpAddr) -> bool {
        let address = meant(address);
        let is_local_name = host.eq_ignore_ascii_case("localhost") && address.is_loopback();
        is_local_name || !is_inside(address) || self.0.iter().any(|rule| rule.is_address(address))
    }
}

/// The address that is really reached: one of version 4 may be wrapped into one of version 6.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        // IPv4-compatible, long out of use; `::` and `::1` are what they are.
        [0, 0, 0, 0, 0, 0] if g != 0 => v4(g, h),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        _ => v6.to_canonical(),
    }
}

/// The machine itself, its own link, nobody in particular, and the known places of cloud metadata.
fn is_inside(address: IpAddr) -> bool {
    const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
    const METADATA_V6: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    match address {
        IpAddr::V4(v4) => {
            let nobody = v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast();
            v4.is_loopback() || v4.is_link_local() || nobody || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            let nobody = v6.is_unspecified() || v6.is_multicast();
            v6.is_loopback() || v6.is_unicast_link_local() || nobody || METADATA_V6.contains(&v6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> Rules {
        Rules::new(hosts.iter().map(|host| host.parse().unwrap()).collect())
    }

    #[test]
    fn only_named_hosts_may_be_called() {
        let rules = rules(&["prometheus.example:9090", "hooks.example", "127.0.0.1:80"]);
        let may = |url: &str| rules.check(&Url::parse(url).unwrap()).is_ok();
        assert!(may("http://prometheus.example:9090/api"));
        assert!(may("https://HOOKS.example/x"));
        assert!(may("http://hooks.example:8080/x"));
        assert!(may("http://127.0.0.1/"));
        for no in [
            "http://prometheus.example/",
            "http://prometheus.example.evil.example:9090/",
            "http://prometheus.example:9090@evil.example/",
            "http://user:pw@hooks.example/",
            "http://evil.example/",
            "http://[::1]/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
        ] {
            assert!(!may(no), "{no}");
        }
        // The many ways to write one address are one address.
        for yes in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://127.1/",
        ] {
            assert!(may(yes), "{yes}");
        }
    }

    #[test]
    fn a_name_leads_outside_or_to_a_private_network_only() {
        let rules = rules(&["prometheus.example", "169.254.170.2"]);
        let leads = |address: &str| rules.leads_to("prometheus.example", address.parse().unwrap());
        for yes in [
            "10.0.0.7",
            "192.168.1.1",
            "93.184.216.34",
            "fd00::7",
            "2001:db8::1",
            "169.254.170.2",
        ] {
            assert!(leads(yes), "{yes}");
        }
        for no in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(!leads(no), "{no}");
        }
        assert!(rules.leads_to("localhost", "127.0.0.1".parse().unwrap()));
        assert!(!rules.leads_to("localhost", "169.254.169.254".parse().unwrap()));
    }

    #[test]
    fn a_rule_is_a_whole_host() {
        for wrong in ["", "*.example", "http://x", "x/y", "x:port", "a@b", "[::1", "a b"] {
            assert!(wrong.parse::<HostRule>().is_err(), "{wrong}");
        }
        for right in ["x", "x:80", "10.0.0.1", "[::1]", "[::1]:80"] {
            assert_eq!(right.parse::<HostRule>().unwrap().to_string(), right);
        }
    }
}
