//! A peer's command line, and its listening to the plain trigger.

use std::future::poll_fn;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use clap::Parser;
use serde::Deserialize;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Socket};

/// The channel of the plain trigger.
pub const CHANNEL: &str = "bench_orders";

/// A peer's command line.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// The database whose plain trigger notifies.
    #[arg(long, value_name = "URL")]
    pub database_url: String,
    /// Where to serve.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

/// What a peer needs to know of a payload, which it forwards as it is.
#[derive(Debug, Deserialize)]
struct Payload {
    rep: i64,
}

/// A connection that listens.
pub struct Feed {
    connection: Connection<Socket, NoTlsStream>,
    /// The connection ends when it is dropped.
    _client: Client,
}

impl Feed {
    /// Connects, and returns once it listens.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn start(url: &str) -> anyhow::Result<Self> {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.context("could not connect")?;
        {
            let statement = format!("listen {CHANNEL}");
            let listening = client.batch_execute(&statement);
            tokio::pin!(listening);
            loop {
                tokio::select! {
                    listens = &mut listening => break listens.context("could not listen")?,
                    message = poll_fn(|context| connection.poll_message(context)) => {
                        message.transpose()?.context("the database closed the connection")?;
                    }
                }
            }
        }
        Ok(Self { connection, _client: client })
    }

    /// Hands the rep and the payload of every notification to `deliver`, for ever.
    ///
    /// # Errors
    /// If the database goes away.
    pub async fn deliver(mut self, mut deliver: impl FnMut(i64, &str)) -> anyhow::Result<()> {
        loop {
            match poll_fn(|context| self.connection.poll_message(context)).await.transpose()? {
                Some(AsyncMessage::Notification(notification)) => {
                    let payload: Payload = serde_json::from_str(notification.payload()).context("an odd payload")?;
                    deliver(payload.rep, notification.payload());
                }
                Some(_) => {}
                None => bail!("the database closed the connection"),
            }
        }
    }
}
