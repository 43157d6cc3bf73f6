//! Free ports of the loopback address, reserved for a program that is about to start.
//!
//! Refuses to hand out a port twice: a reservation is a bound socket that does not listen. The program may still listen
//! there, also again after a crash, because both sides allow the address to be reused.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that is ours as long as this value lives.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _reservation: TcpSocket,
}

impl Port {
    /// Reserves a free port.
    ///
    /// # Errors
    /// When the system has none.
    pub fn reserve() -> Result<Self> {
        let socket = TcpSocket::new_v4().context("could not make a socket")?;
        socket
            .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .context("no port is free")?;
        // Not before: a port that allows reuse could be chosen twice.
        socket.set_reuseaddr(true).context("could not set SO_REUSEADDR")?;
        let address = socket.local_addr().context("could not read the port")?;
        Ok(Self {
            address,
            _reservation: socket,
        })
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
