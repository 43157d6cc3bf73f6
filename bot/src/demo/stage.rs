//! Owns everything that is set up for a story: the files, the shop, its visitors, the alert source, the pager, the service.
//! Refuses to leave anything behind: what was set up is taken down, in the reverse order.

use tidegate_rollout::Period;
use url::Url;

use super::alerts::Ways;
use super::api::{ADMIN_TOKEN, Api};
use super::files::{Files, Names};
use super::load::Load;
use super::pager::Pager;
use super::scenario::Scenario;
use super::service::{Fate, Service};
use super::serving::Open;
use super::shop::{FLAG, Shop};
use super::source::{Chosen, Source};
use super::story::Story;
use super::{DemoError, Settings};
use crate::net::Net;

/// The stage while the story is told.
pub(super) struct Stage {
    pub(super) api: Api,
    pub(super) service: Service,
    pub(super) source: Source,
    pub(super) shop: Shop,
    pub(super) pager: Pager,
    load: Load,
    base: Url,
    net: Net,
    files: Files,
}

/// The ports of everything, before anything runs.
struct Ports {
    service: std::net::SocketAddr,
    shop: Open,
    pager: Open,
    source: Chosen,
}

impl Ports {
    async fn take(settings: &Settings) -> Result<Self, DemoError> {
        let source = Chosen::new(settings.alerts).await?;
        let taken = async {
            let service = Open::port(settings.port).await?;
            let shop = Open::port(settings.port.saturating_add(1)).await?;
            let pager = Open::port(0).await?;
            Ok((service.give_back(), shop, pager))
        };
        let taken = taken.await;
        let (service, shop, pager) =
            taken.map_err(|fault: std::io::Error| DemoError::failed("find free ports", fault))?;
        Ok(Self {
            service,
            shop,
            pager,
            source,
        })
    }
}

impl Stage {
    /// Sets everything up, and says where it is.
    pub(super) async fn set_up(settings: &Settings, story: &mut Story<'_>) -> Result<Self, DemoError> {
        let scenario = settings.scenario;
        story.say("demo", format!("{}: {}", scenario.word(), scenario.says()))?;
        let net = loopback().map_err(|fault| DemoError::failed("make an HTTP client", fault))?;
        let files = Files::new()?;
        let ports = Ports::take(settings).await?;
        files.write(&Names {
            service: ports.service,
            alerts: ports.source.address(),
            pager: ports.pager.address(),
            watchdog_fresh: watchdog_fresh(settings.scenario),
            speed: settings.speed,
            // The story tells what the notices say.
            log_level: if settings.log {
                "info"
            } else {
                "warn,tidegate::notices=off"
            },
        })?;
        let base = url(ports.service)?;
        let pager = Pager::start(ports.pager, files.pager_secret());
        let shop = Shop::open(ports.shop, &base, net.clone())?;
        let shop_url = url(shop.address())?;
        let ways = ways(&base, &shop_url, &files)?;
        let alerts = ports.source.says();
        let load = Load::start(&shop_url, net.clone());
        let (service, source) = open(settings, &base, &files, &net, ports.source, ways).await?;
        let sign_in = sign_in(&service, &base, &files);
        introduce(settings, story, &base, &shop_url, &alerts, &sign_in)?;
        let api = Api::open(base.clone(), &files.storage(), net.clone())
            .map_err(|fault| DemoError::failed("read the admin token", fault))?;
        Ok(Self {
            api,
            service,
            source,
            shop,
            pager,
            load,
            base,
            net,
            files,
        })
    }

    /// Starts the service again after it was killed; this time it is `tidegate serve`.
    pub(super) async fn restart_service(&mut self) -> Result<(), DemoError> {
        self.service = Service::child(&self.files, Fate::Ordinary)?;
        self.service.ready(&self.base, &self.net, &self.files).await
    }

    /// Where the service is.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Takes everything down.
    pub(super) async fn take_down(self) {
        self.load.stop().await;
        self.source.stop().await;
        self.service.stop().await;
        self.shop.close().await;
        self.pager.stop().await;
        drop(self.files);
    }
}

/// A client that can reach this machine and nothing else.
fn loopback() -> anyhow::Result<Net> {
    Ok(Net::new(vec!["127.0.0.1".parse()?])?)
}

/// The story about silence has seconds for it; in any other a slow machine must not look like silence.
fn watchdog_fresh(scenario: Scenario) -> Period {
    match scenario {
        Scenario::NoData => Period::seconds(3),
        Scenario::Happy | Scenario::ErrorSpike | Scenario::AlertStorm | Scenario::Crash => Period::seconds(10),
    }
}

fn url(address: std::net::SocketAddr) -> Result<Url, DemoError> {
    Url::parse(&format!("http://{address}/")).map_err(|fault| DemoError::failed("name an address", fault))
}

fn ways(base: &Url, shop: &Url, files: &Files) -> Result<Ways, DemoError> {
    let join = |base: &Url, path: &str| {
        base.join(path)
            .map_err(|fault| DemoError::failed("name an address", fault))
    };
    Ok(Ways {
        metrics: join(shop, "metrics")?,
        webhook: join(base, "webhooks/alertmanager")?,
        token: files.webhook_token(),
    })
}

/// Starts the service and the alert source. The real one needs its time, so both start at once; the built-in one would
/// find a closed door, so it waits.
async fn open(
    settings: &Settings,
    base: &Url,
    files: &Files,
    net: &Net,
    chosen: Chosen,
    ways: Ways,
) -> Result<(Service, Source), DemoError> {
    let service = async {
        let mut service = match settings.scenario {
            Scenario::Crash => Service::child(files, Fate::Doomed)?,
            Scenario::Happy | Scenario::ErrorSpike | Scenario::AlertStorm | Scenario::NoData => {
                Service::inside(files, settings.log).await?
            }
        };
        service.ready(base, net, files).await?;
        Ok(service)
    };
    match &chosen {
        Chosen::Real(..) => tokio::try_join!(service, chosen.start(ways, files, net.clone())),
        Chosen::Builtin(_) => {
            let service = service.await?;
            let source = chosen.start(ways, files, net.clone()).await?;
            Ok((service, source))
        }
    }
}

/// How the person at the terminal becomes one in the browser.
fn sign_in(service: &Service, base: &Url, files: &Files) -> String {
    let link = service.invitation().and_then(|path| base.join(&path).ok());
    match link {
        Some(link) => format!("{link}   works once"),
        None => format!(
            "{base}login   with the token in {}",
            files.storage().join(ADMIN_TOKEN).display()
        ),
    }
}

/// Says where everything is.
fn introduce(
    settings: &Settings,
    story: &mut Story<'_>,
    base: &Url,
    shop: &Url,
    alerts: &str,
    sign_in: &str,
) -> Result<(), DemoError> {
    let second = settings.speed.second();
    let places = [
        (
            "shop",
            format!("{shop}   two versions behind the flag {FLAG}, and the fault switch"),
        ),
        ("dashboard", base.to_string()),
        ("chat", format!("{base}chat   type /rollout help")),
        ("sign-in", sign_in.to_owned()),
        ("alerts", alerts.to_owned()),
        ("clock", format!("1 s stands for {second}")),
    ];
    for (kind, text) in places {
        story.say(kind, text)?;
    }
    Ok(())
}
