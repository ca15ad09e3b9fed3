//! Clusters with several masters: one leads, and another does when that one is gone.

use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::transfer;

const LENGTH: u64 = 3_000_000;

/// Two masters that are started on the same data twice.
fn start_twice(processes: bool) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-masters-")?;
    let options = Options {
        masters: 2,
        processes,
        data: Some(folder.path().join("data")),
        ..Options::default()
    };
    let mut second = None;
    for round in 0..2_u64 {
        DevCluster::with(&options, |cluster| {
            let masters = cluster.role("master");
            ensure!(masters.len() == 2, "there are {masters:?}");
            let urls: Vec<_> = masters
                .into_iter()
                .filter_map(|master| master.url)
                .collect();
            ensure!(
                cluster.state().urls == urls,
                "the state names {:?}, but the masters are {urls:?}",
                cluster.state().urls
            );
            let url = urls.into_iter().nth(1).context("a second master")?;
            ensure!(
                second.get_or_insert(url.clone()) == &url,
                "the second master moved to {url}"
            );
            let mut leader = cluster.connect_to(&cluster.leader()?)?;
            transfer::put(
                &mut leader,
                &format!("f/{round}"),
                Content::new(round),
                LENGTH,
            )?;
            for number in 0..=round {
                let (name, content) = (format!("f/{number}"), Content::new(number));
                transfer::get(&mut leader, &name, content, LENGTH, |_| Ok(()))?;
            }
            let status = cluster.stop()?;
            ensure!(status.success(), "it ended with {status}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn masters_of_one_process_start_again_where_they_were() -> Result<()> {
    start_twice(false)
}

#[test]
fn masters_of_many_processes_start_again_where_they_were() -> Result<()> {
    start_twice(true)
}

#[test]
fn records_go_out_and_come_in_by_a_master_that_follows() -> Result<()> {
    let options = Options {
        masters: 2,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let leader = cluster.leader()?;
        let follower = cluster.followers()?.pop().context("a second master")?;
        let mut connection = cluster.connect_to(&leader)?;
        transfer::put(&mut connection, "film", Content::new(1), LENGTH)?;
        let mut other = cluster.connect_to(&follower)?;
        let exported = other.request("GET", "/v1/admin/export", &[], &[])?;
        let (status, text) = (exported.status(), exported.text());
        ensure!(status == 200, "an export was answered {status}: {text}");
        let lines: Vec<&str> = text.lines().collect();
        ensure!(lines.len() == 4 && text.contains("film"), "{text}");
        // One after the other: the first has ended when it is answered.
        for _ in 0..2 {
            let taken = other.request("POST", "/v1/admin/import", &[], text.as_bytes())?;
            let status = taken.status();
            ensure!(status == 200, "an import was answered {}", taken.problem());
            let taken = taken.json()?;
            let found = (taken.get("files"), taken.get("present"));
            ensure!(found == (Some(&0.into()), Some(&1.into())), "{taken}");
        }
        Ok(())
    })
}

#[test]
fn the_other_master_leads_once_the_leader_is_killed() -> Result<()> {
    let options = Options {
        masters: 2,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let leader = cluster.leader()?;
        let mut connection = cluster.connect_to(&leader)?;
        transfer::put(&mut connection, "before", Content::new(1), LENGTH)?;
        let followers = cluster.followers()?;
        cluster.kill(&leader)?;
        let next = cluster.leader()?;
        ensure!(followers == [next.clone()], "{next:?} leads");
        let mut connection = cluster.connect_to(&next)?;
        transfer::get(&mut connection, "before", Content::new(1), LENGTH, |_| {
            Ok(())
        })?;
        transfer::put(&mut connection, "after", Content::new(2), LENGTH)
    })
}
