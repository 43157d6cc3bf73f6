//! A small HTTP server inside the test, on a free port, gone when dropped; over TLS where somebody has a certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Certificates;

/// A running server.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    /// Serves `router` on 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(router: Router) -> Result<Self> {
        let (listener, address) = bind().await?;
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, task })
    }

    /// Serves `router` on 127.0.0.1 with this certificate.
    ///
    /// # Errors
    /// When no port is free, or the certificate cannot be used.
    pub async fn start_with(router: Router, certificates: &Certificates) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(&certificates.certificate)
            .and_then(Iterator::collect)
            .context("the certificate")?;
        let key = PrivateKeyDer::from_pem_file(&certificates.key).context("the key of the certificate")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let (listener, address) = bind().await?;
        let shown = Shown {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(settings)),
        };
        let task = tokio::spawn(async move { axum::serve(shown, router).await });
        Ok(Self { address, task })
    }

    /// `127.0.0.1:port`, as Prometheus writes targets.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` followed by `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn bind() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("could not bind a free port")?;
    let address = listener.local_addr().context("could not read the port")?;
    Ok((listener, address))
}

/// Connections that begin with a certificate.
struct Shown {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Shown {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = axum::serve::Listener::accept(&mut self.listener).await;
            // Who does not believe the certificate hangs up; the next one may.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
