//! Owns the demo's own small servers: an open port, and what is served on it until somebody stops it.
//! Refuses every address but the loopback one.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long requests in flight may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// An open port on which nothing is served yet. Callers wait meanwhile.
pub(super) struct Open {
    listener: TcpListener,
    address: SocketAddr,
}

impl Open {
    /// `wanted` if nobody has it, else any that is free.
    pub(super) async fn port(wanted: u16) -> io::Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
        };
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the port back, for a program that opens it itself.
    pub(super) fn give_back(self) -> SocketAddr {
        self.address
    }

    /// Serves `router` from now on.
    pub(super) fn serve(self, router: Router) -> Serving {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = axum::serve(self.listener, router).with_graceful_shutdown(stopped);
        Serving {
            address: self.address,
            stop,
            task: tokio::spawn(server.into_future()),
        }
    }
}

/// Something served.
pub(super) struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Serving {
    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, at the latest after [`FAREWELL`].
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_replaced_by_another() {
        let first = Open::port(0).await.unwrap();
        let taken = first.address().port();
        let second = Open::port(taken).await.unwrap();
        assert_ne!(second.address().port(), taken);
        let freed = first.give_back().port();
        assert_eq!(Open::port(freed).await.unwrap().address().port(), taken);
    }
}
