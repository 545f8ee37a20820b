//! Connections of the gRPC port: admitted by the budget that HTTP has as well, and served once they have said that they speak HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use net::{ConnectionBudget, Place};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::limits::ACCEPT_PAUSE;

/// The first bytes of every HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection and its place in the budget.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    _place: Place,
}

/// Admits connections until nobody takes them any more.
pub(crate) async fn admit(
    listener: TcpListener,
    budget: Arc<ConnectionBudget>,
    preface: Duration,
    admitted: mpsc::Sender<io::Result<Connection>>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = admitted.closed() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be had");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // One beyond the budget is closed at once.
        let Ok(place) = budget.admit(address.ip()) else { continue };
        let admitted = admitted.clone();
        tokio::spawn(async move {
            // One that is slow to begin takes nobody's turn.
            if tokio::time::timeout(preface, begins(&stream)).await.is_ok_and(|is_http2| is_http2) {
                let _ = stream.set_nodelay(true);
                let _ = admitted.send(Ok(Connection { stream, _place: place })).await;
            }
        });
    }
}

/// Waits for the preface without taking it. False as soon as it is something else.
async fn begins(stream: &TcpStream) -> bool {
    let mut seen = [0; PREFACE.len()];
    let mut before = 0;
    loop {
        let Ok(length) = stream.peek(&mut seen).await else { return false };
        if length == 0 || seen[..length] != PREFACE[..length] {
            return false;
        }
        if length == PREFACE.len() {
            return true;
        }
        // What has been seen stays readable: only more of it is news, or the end.
        if length == before {
            if stream.ready(Interest::READABLE).await.is_ok_and(|ready| ready.is_read_closed()) {
                return false;
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
        before = length;
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        let address = |address: io::Result<SocketAddr>| address.ok();
        TcpConnectInfo {
            local_addr: address(self.stream.local_addr()),
            remote_addr: address(self.stream.peer_addr()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
