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
        // The system chooses while reuse is still off, or it might choose a port that is already reserved.
        let chosen = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false)?.local_addr()?;
        Ok(Self {
            address: chosen,
            _reservation: bound(chosen, true)?,
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

fn bound(address: SocketAddr, reuse: bool) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4().context("could not make a socket")?;
    socket.set_reuseaddr(reuse).context("could not set SO_REUSEADDR")?;
    socket
        .bind(address)
        .with_context(|| format!("could not bind {address}"))?;
    Ok(socket)
}
