use super::*;
use mdfs_core::id::Generation;
use mdfs_protocol::internal::{Identity, VoterState};

const CLUSTER: u128 = 9;

fn beat(disk: u128, cluster: Option<u128>, port: u16) -> Heartbeat {
    Heartbeat {
        identity: Identity {
            disk: DiskId::from_u128(disk),
            cluster: cluster.map(ClusterId::from_u128),
            generation: Generation(1),
        },
        name: format!("w{disk}"),
        url: format!("http://w{disk}:{port}"),
        zone: None,
        capacity_bytes: 1,
        free_bytes: 1,
        chunks: 0,
        chunk_bytes: 0,
        bad_blocks: 0,
        oldest_unverified_millis: None,
        seal_millis: None,
        state: DiskState::Healthy,
        voter: VoterState::Healthy,
        leaving: false,
        directory_version: 0,
        holdings: Default::default(),
        done: Vec::new(),
        formats: mdfs_core::format::FORMATS,
        lease_millis: 3000,
        voter_last: mdfs_core::log::message::Position::default(),
        witness: false,
    }
}

#[test]
fn the_directory_is_what_the_disks_make_it_whatever_was_made_before() {
    let (ours, other) = (ClusterId::from_u128(CLUSTER), ClusterId::from_u128(8));
    let start = Timestamp::default();
    let settings = DetectSettings::new(
        std::time::Duration::from_secs(1),
        3,
        std::time::Duration::from_secs(15),
    );
    let mut fleet = Fleet::new(settings.unwrap());
    let mut versions = BTreeSet::new();
    #[track_caller]
    fn check(fleet: &mut Fleet, versions: &mut BTreeSet<u64>, disks: usize, is_new: bool) {
        let cluster = ClusterId::from_u128(CLUSTER);
        let (said, made) = (
            fleet.directory(cluster).clone(),
            fleet.make_directory(cluster),
        );
        assert_eq!((&said, said.disks.len()), (&made, disks));
        assert_eq!(versions.insert(said.version), is_new);
    }
    let hear = |fleet: &mut Fleet, beat| fleet.hear(beat, CancellationToken::new(), start, false);
    assert!(hear(&mut fleet, beat(1, Some(CLUSTER), 1)));
    check(&mut fleet, &mut versions, 1, true);
    assert!(hear(&mut fleet, beat(1, Some(CLUSTER), 1)));
    check(&mut fleet, &mut versions, 1, false);
    // It moves; one comes that is blank, and is adopted; one of another cluster comes.
    assert!(hear(&mut fleet, beat(1, Some(CLUSTER), 2)));
    check(&mut fleet, &mut versions, 1, true);
    assert!(hear(&mut fleet, beat(2, None, 1)));
    check(&mut fleet, &mut versions, 1, false);
    fleet.adopted(DiskId::from_u128(2), ours);
    check(&mut fleet, &mut versions, 2, true);
    assert!(hear(&mut fleet, beat(3, Some(8), 1)));
    assert_eq!(fleet.directory(other).disks.len(), 1);
    check(&mut fleet, &mut versions, 2, false);
    // They go, each in another way.
    fleet.forget(DiskId::from_u128(1));
    check(&mut fleet, &mut versions, 1, true);
    assert!(hear(&mut fleet, beat(4, Some(CLUSTER), 1)));
    check(&mut fleet, &mut versions, 2, true);
    fleet.keep(|disk, _| disk != DiskId::from_u128(2));
    check(&mut fleet, &mut versions, 1, true);
    let late = start.plus(std::time::Duration::from_secs(60));
    fleet.forget_strangers(late, |_| false);
    check(&mut fleet, &mut versions, 0, true);
}
