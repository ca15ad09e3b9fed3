//! `mdfs doctor`: from this machine to the cluster's disks, what is well and what to do.

mod cluster;
mod report;
mod way;

use super::Context;
use crate::connect::{Known, known};
use crate::error::{CliError, Exit};
use mdfs_client::{Client, ClientConfig};
use mdfs_protocol::problem::Code;
use report::{Check, Report};
use std::time::Duration;

/// How long the doctor waits for a master that may be there.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) async fn execute(context: &Context) -> Result<Exit, CliError> {
    let mut report = Report::default();
    let known = match known(&context.global) {
        Ok(known) => known,
        Err(error) => {
            report.add(Check::fail("configuration", error.text()).hint_if(error.hint()));
            return report.print(context.global.output);
        }
    };
    report.add(Check::ok(
        "configuration",
        format!("{} from {}", known.urls.join(", "), known.from),
    ));
    let token = way::token(&mut report, known.token_file.as_deref());
    for url in &known.urls {
        way::address(&mut report, url).await;
        master(&mut report, url, token.clone()).await;
    }
    report.ways_were_tried();
    match client(&known, token) {
        Ok(client) if report.is_reached() => asked(&mut report, &client).await,
        Ok(_) => {}
        Err(error) => report.add(Check::fail("client", error.text())),
    }
    report.print(context.global.output)
}

fn client(known: &Known, token: Option<String>) -> Result<Client, CliError> {
    let mut config = ClientConfig::new("");
    config.urls.clone_from(&known.urls);
    config.token = token;
    config.retry_for = PATIENCE;
    config.connect_timeout = PATIENCE;
    Ok(Client::new(config)?)
}

/// Whether one master answers, and what its clock says.
async fn master(report: &mut Report, url: &str, token: Option<String>) {
    let one = Known {
        urls: vec![url.to_owned()],
        token_file: None,
        from: String::new(),
    };
    let probed = match client(&one, token) {
        Ok(client) => client.probe().await.map_err(CliError::from),
        Err(error) => Err(error),
    };
    match probed {
        Ok(probe) => {
            report.add(Check::ok("master", format!("{url} answers")));
            report.reached();
            report.add(way::clock(
                probe.date.as_deref(),
                mdfs_service::Clock::real().wall(),
            ));
        }
        Err(error) => report.add(
            Check::fail("master", error.text())
                .hint_if(error.hint())
                .hint("is it a master's address? try another one by --url"),
        ),
    }
}

/// What only the cluster knows.
async fn asked(report: &mut Report, client: &Client) {
    let options = mdfs_client::ListOptions {
        limit: Some(1),
        ..Default::default()
    };
    let mut may = Vec::new();
    match client.list(&options).await {
        Ok(_) => may.push("list all names"),
        Err(error) if error.code() == Some(Code::Forbidden) => {}
        Err(error) => {
            let error = CliError::from(error);
            report.add(Check::fail("token", error.text()).hint_if(error.hint()));
            return;
        }
    }
    let metrics = client.metrics().await.ok();
    may.extend(metrics.as_ref().map(|_| "read metrics"));
    let status = client.status().await;
    may.extend(status.as_ref().ok().map(|_| "administer"));
    let what = match may.as_slice() {
        [] => "accepted; it is for a folder of names, or may not read".to_owned(),
        may => format!("accepted; it may {}", may.join(", ")),
    };
    report.add(Check::ok("token", what));
    report.add(way::version(metrics.as_deref()));
    let status = match status {
        Ok(status) => status,
        Err(error) if error.code() == Some(Code::Forbidden) => {
            report.add(
                Check::skip("cluster", "only an administrator may see its state")
                    .hint("use a token with the role admin"),
            );
            return;
        }
        Err(error) => {
            let error = CliError::from(error);
            report.add(Check::sick("cluster", error.text()).hint_if(error.hint()));
            return;
        }
    };
    cluster::state(report, &status);
    match client.workers().await {
        Ok(workers) => cluster::workers(report, &workers),
        Err(error) => report.add(Check::sick("workers", CliError::from(error).text())),
    }
}
