//! Two masters: one leads, the other sends on whoever asks, and takes over.

use super::asking::{done, refused};
use super::world::{HOLD, World};
use crate::error::Error;
use crate::leader::handle::Question;
use crate::leader::route::Lead;
use mdfs_core::format::FORMATS;
use mdfs_protocol::ask::Hello;
use mdfs_protocol::public::MasterRole;

/// A cluster with a file, led by the first of two masters.
fn pair() -> World {
    let mut world = World::founded();
    world.store("a");
    world.add_master();
    world.run(2000);
    world
}

fn url_of(lead: &Lead) -> Option<&str> {
    lead.elsewhere().map(|leader| leader.url.as_str())
}

#[test]
fn a_follower_answers_nothing_of_the_metadata_and_says_who_does() {
    let mut world = pair();
    assert_eq!(world.master.lead(), Lead::Here);
    world.as_other(0, |world| {
        assert_eq!(url_of(&world.master.lead()), Some("http://master-1"));
        let asked = world.look_up("a");
        match refused(asked) {
            Error::NotLeader { hint } => assert_eq!(hint.unwrap().url, "http://master-1"),
            error => panic!("{error}"),
        }
        let status = world.status();
        assert!(status.term.is_none());
        assert_eq!(status.health, mdfs_protocol::public::Health::Unknown);
        assert!(!status.reasons.is_empty());
        assert_eq!(status.leader_url.as_deref(), Some("http://master-1"));
    });
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_follower_takes_over_when_the_leader_is_gone_and_holds_nothing_before() {
    let mut world = pair();
    // The leader's process ends without a word: only the other goes on.
    std::mem::swap(&mut world.master, &mut world.others[0]);
    world.others.clear();
    let asked = world.look_up("a");
    assert!(matches!(refused(asked), Error::NotLeader { .. }));
    // A lease, and the time it takes to notice.
    world.run(4500);
    assert_eq!(world.master.lead(), Lead::Here);
    assert_eq!(world.names(), ["a"]);
    world.store("b");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_leader_that_resigns_is_followed_by_the_other_within_a_second_and_sends_on_who_asks() {
    let mut world = pair();
    let held = world.look_up("a");
    done(held).unwrap();
    world.resign();
    // Nobody is known to lead: nothing is held at a master that never will.
    let asked = world.look_up("a");
    assert!(matches!(refused(asked), Error::NotLeader { hint: None }));
    world.run(1500);
    assert_eq!(url_of(&world.master.lead()), Some("http://master-2"));
    let asked = world.look_up("a");
    assert!(matches!(refused(asked), Error::NotLeader { hint: Some(_) }));
    let names = world.as_other(0, |world| world.names());
    assert_eq!(names, ["a"]);
    // It never takes over again.
    world.others.clear();
    world.run(HOLD);
    assert!(world.master.lead() != Lead::Here);
}

#[test]
fn a_deposed_leader_that_was_stopped_answers_no_read() {
    let mut world = pair();
    // The first hears and says nothing for long, as a process that is stopped.
    let sleeper = std::mem::replace(&mut world.master, world.others.remove(0));
    world.run(5000);
    assert_eq!(world.master.lead(), Lead::Here);
    done(world.delete("a")).unwrap();
    world.others.push(sleeper);
    world.as_other(0, |world| {
        let asked = world.look_up("a");
        // Held until it is known who leads, and then sent there.
        world.run(2000);
        assert!(matches!(refused(asked), Error::NotLeader { .. }));
        assert_eq!(url_of(&world.master.lead()), Some("http://master-2"));
    });
}

#[test]
fn followers_are_known_while_they_say_so_and_by_the_leader_alone() {
    let mut world = pair();
    let hello = Hello {
        url: "http://master-2".to_owned(),
        formats: FORMATS,
        version: "1.2.3".to_owned(),
    };
    let told = world.ask(|answer| Question::Hello(hello.clone(), answer));
    done(told).unwrap();
    let now = world.time();
    assert_eq!(
        world.master.followers(now).collect::<Vec<_>>(),
        ["http://master-2"]
    );
    world.run(6000);
    let now = world.time();
    assert_eq!(world.master.followers(now).count(), 0);
    world.as_other(0, |world| {
        let told = world.ask(|answer| Question::Hello(hello.clone(), answer));
        assert!(matches!(refused(told), Error::NotLeader { hint: Some(_) }));
    });
}

#[test]
fn masters_are_told_to_workers_and_shown_with_how_far_they_are() {
    let mut world = pair();
    let own = ["http://master-1".to_owned()];
    let reply = world.beat(1).unwrap();
    assert_eq!(reply.masters.as_deref(), Some(&own[..]));
    let version = reply.directory.unwrap().version;
    world.worker(1).beat.directory_version = version;
    let reply = world.beat(1).unwrap();
    assert_eq!((reply.masters, reply.directory), (None, None));

    let hello = Hello {
        url: "http://master-2".to_owned(),
        formats: FORMATS,
        version: "1.2.3".to_owned(),
    };
    done(world.ask(|answer| Question::Hello(hello, answer))).unwrap();
    let reply = world.beat(1).unwrap();
    let both = ["http://master-1".to_owned(), "http://master-2".to_owned()];
    assert_eq!(reply.masters.as_deref(), Some(&both[..]));
    assert_ne!(reply.directory.unwrap().version, version);
    let told = world.ask(Question::Masters);
    assert_eq!(done(told).unwrap().urls, both);

    let shown = world.status().masters;
    let [own, other] = &shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(
        (own.url.as_str(), own.role),
        ("http://master-1", MasterRole::Leader)
    );
    assert_eq!(
        (own.behind, own.warm, own.heard_millis_ago),
        (Some(0), true, Some(0))
    );
    assert_eq!(
        (other.url.as_str(), other.role),
        ("http://master-2", MasterRole::Follower)
    );
    assert_eq!(
        (other.behind, other.copied, other.warm),
        (None, None, false)
    );
    assert_eq!(other.version.as_deref(), Some("1.2.3"));
    assert_eq!(other.format_most, Some(FORMATS.most));

    world.run(6000);
    assert_eq!(world.status().masters.len(), 1, "it was silent");
    // Another one that says it is nowhere is known to nobody.
    let nowhere = Hello {
        url: "nowhere".to_owned(),
        formats: FORMATS,
        version: String::new(),
    };
    assert!(matches!(
        refused(world.ask(|answer| Question::Hello(nowhere, answer))),
        Error::Busy
    ));
}

#[test]
fn a_master_that_listens_on_all_addresses_and_was_not_told_more_names_nobody() {
    for (url, is) in [
        ("http://10.0.0.7:8080", true),
        ("http://m0:8080", true),
        ("http://[::1]:8080", true),
        ("http://0.0.0.0:8080", false),
        ("http://[::]:8080", false),
        ("m0", false),
    ] {
        assert_eq!(super::super::masters::is_somewhere(url), is, "{url}");
    }
}
