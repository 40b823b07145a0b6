//! The whole thing on a private PostgreSQL with demonstration data, for a person with five minutes.

mod cluster;
mod data;
mod hold;
mod pharmacist;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

pub use cluster::{Cluster, ClusterError, Durability};

use hold::Hold;

use crate::config::Demo;
use crate::server::{Listeners, run as serve};
use crate::store::{DatabaseUrl, SignOn, Store};

const DATABASE: &str = "oncare";

/// Runs everything until `shutdown` is ready, then stops the private PostgreSQL too.
///
/// # Errors
/// If the folder's demonstration is running already, PostgreSQL is not installed or can't be started, or an address is taken.
pub async fn run(arguments: Demo, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Demo { mut service, data_dir, demo_database_port } = arguments;
    // nothing else manages its database
    service.forms.own.own_forms = true;
    if let SignOn::Django(_) = service.django.sign_on()? {
        anyhow::bail!("the demonstration signs people in itself: leave out the secret key of Django");
    }
    // kept until the end, as nobody else may touch the database
    let mut hold = Hold::take(&data_dir)?;
    let listeners = Listeners::bind(&service)?;
    let address = listeners.web.local_addr().context("could not tell the address")?;
    hold.serves_at(&format!("http://{address}/"))?;
    tokio::pin!(shutdown);
    let folder = data_dir.join("postgresql");
    let cluster = tokio::select! {
        started = Cluster::start(&folder, demo_database_port, Durability::Full) => started?,
        // a server that is starting ends with the pipe that it is held by
        () = &mut shutdown => return Ok(()),
    };
    cluster.create_database(DATABASE).await?;
    let url = cluster.url(DATABASE);
    let parsed = DatabaseUrl::parse(&url).map_err(anyhow::Error::msg)?;
    let store = Store::new(parsed.clone(), 2)?;
    let preparing = async {
        store.create_tables_and_migrate().await?;
        if data::fill(&url).await.context("could not write the demonstration data")? {
            store.rebuild_statistics().await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        prepared = preparing => prepared?,
        () = &mut shutdown => {
            cluster.stop().await?;
            return Ok(());
        }
    }

    let stop = CancellationToken::new();
    let pharmacist = tokio::spawn(pharmacist::work(url.clone(), stop.clone()));
    let (ops, serving) = (listeners.ops.local_addr().ok(), Arc::clone(&listeners.serving));
    let welcomed = async {
        serving.wait().await;
        welcome(address, ops, &cluster);
        std::future::pending().await
    };
    let served = tokio::select! {
        served = serve(parsed, service, listeners, shutdown) => served,
        never = welcomed => never,
    };
    stop.cancel();
    // a pharmacist who panicked is no reason to leave the database running
    let _ = pharmacist.await;
    cluster.stop().await?;
    served?;
    Ok(())
}

fn welcome(address: SocketAddr, ops: Option<SocketAddr>, cluster: &Cluster) {
    let psql = cluster.psql(DATABASE);
    let ops = ops.map(|ops| format!("http://{ops}/metrics")).unwrap_or_default();
    let [first, others @ ..] = data::REPS;
    let others: Vec<&str> = others.iter().map(|rep| rep.username).collect();
    println!(
        "\n  OnCare Live is running at  http://{address}/\n\
         \n  Sign in as                 {rep} / {password}   (sales rep; also {others})\
         \n  Pharmacist, admin          rx / {password}, admin / {password}\
         \n  Metrics                    {ops}\n\
         \n  A simulated pharmacist changes an order every second or two. Change one yourself and watch it arrive:\n\
         \n    {psql} -c \"update orders_order set status = 'shipped', updated_at = now() where id = (select max(o.id) from \
         orders_order o join accounts_user u on u.id = o.sales_rep_id where u.username = '{rep}')\"\n\
         \n  Stop with Ctrl-C.\n",
        rep = first.username,
        password = data::PASSWORD,
        others = others.join(", "),
    );
}
