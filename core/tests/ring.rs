//! The ring's promises in short form; `cargo run --release -p mdfs-core --example ring` is the full
//! one.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod ring_proof;

use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::ring::{Assignment, BytesPerPartition, Member, ReplicationFactor, ZoneId, assign};
use proptest::prelude::*;
use ring_proof::{
    Chance, MOST_ABOVE_LEAST, Shape, Weights, Zones, above_share, bytes_off_share, check_balance,
    check_spread, rendezvous, run, step,
};

#[track_caller]
fn check(workers: usize, weights: Weights, zones: Zones, replicas: u8, seed: u64) {
    let report = run(
        Shape {
            workers,
            weights,
            zones,
            replicas,
        },
        seed,
    )
    .unwrap();
    for figures in [report.join, report.leave, report.chain] {
        assert!(
            figures.excess() <= MOST_ABOVE_LEAST || figures.moved == 0,
            "{figures:?}"
        );
    }
}

#[test]
fn three_workers_stay_balanced_and_move_the_least() {
    check(3, Weights::Equal, Zones::None, 2, 1);
    check(3, Weights::Mixed, Zones::Three, 2, 2);
    check(3, Weights::Mixed, Zones::Uneven, 3, 3);
}

#[test]
fn five_workers_stay_balanced_and_move_the_least() {
    check(5, Weights::Equal, Zones::Three, 2, 1);
    check(5, Weights::Mixed, Zones::None, 3, 2);
    check(5, Weights::Mixed, Zones::Uneven, 2, 3);
}

#[test]
fn sixteen_workers_stay_balanced_and_move_the_least() {
    check(16, Weights::Equal, Zones::None, 2, 1);
    check(16, Weights::Mixed, Zones::Uneven, 3, 2);
}

#[test]
fn a_hundred_workers_stay_balanced_and_move_the_least() {
    let shape = Shape {
        workers: 100,
        weights: Weights::Mixed,
        zones: Zones::Three,
        replicas: 3,
    };
    let mut chance = Chance::new(1);
    let mut members = shape.members(&mut chance);
    let (ring, _) = step(&Assignment::empty(), &members, shape.factor()).unwrap();
    members.push(shape.member(0, &mut chance));
    step(&ring, &members, shape.factor()).unwrap();
}

#[test]
fn one_equal_worker_more_takes_its_part_and_nothing_else_moves() {
    let shape = Shape {
        workers: 16,
        weights: Weights::Equal,
        zones: Zones::None,
        replicas: 2,
    };
    let mut chance = Chance::new(1);
    let mut members = shape.members(&mut chance);
    let base = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
        true
    });
    members.push(shape.member(0, &mut chance));
    let joined = assign(&base, None, &members, shape.factor(), |_| true);
    assert_eq!(base.copies_to(&joined), 8192 / 17);
    let newcomer = members[16].disk;
    assert!(
        base.moves_to(&joined)
            .flat_map(|m| m.added().collect::<Vec<_>>())
            .all(|d| d == newcomer)
    );
}

#[test]
fn nothing_moves_when_nothing_changed() {
    let shape = Shape {
        workers: 5,
        weights: Weights::Mixed,
        zones: Zones::Uneven,
        replicas: 3,
    };
    let members = shape.members(&mut Chance::new(9));
    let ring = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
        true
    });
    let again = assign(&ring, None, &members, shape.factor(), |_| true);
    assert_eq!(ring.moves_to(&again).count(), 0);
}

#[test]
fn rendezvous_hashing_is_never_better_balanced() {
    for (workers, weights) in [
        (3, Weights::Equal),
        (16, Weights::Equal),
        (16, Weights::Mixed),
    ] {
        let shape = Shape {
            workers,
            weights,
            zones: Zones::None,
            replicas: 2,
        };
        let members = shape.members(&mut Chance::new(3));
        let ours = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
            true
        });
        let naive = rendezvous(&members, 2);
        assert!(
            above_share(&ours, &members, 2) <= above_share(&naive, &members, 2),
            "{shape:?}"
        );
    }
}

#[test]
fn placing_anew_moves_many_times_more() {
    let shape = Shape {
        workers: 16,
        weights: Weights::Equal,
        zones: Zones::None,
        replicas: 2,
    };
    let mut members = shape.members(&mut Chance::new(3));
    let base = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
        true
    });
    members.remove(4);
    let ours = assign(&base, None, &members, shape.factor(), |_| true);
    let anew = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
        true
    });
    assert!(base.copies_to(&anew) > 5 * base.copies_to(&ours));
}

#[test]
fn with_fewer_members_than_replicas_lists_are_shorter_and_grow_later() {
    let factor = ReplicationFactor::new(3).unwrap();
    let mut members = members_of(&[1]);
    let one = assign(&Assignment::empty(), None, &members, factor, |_| true);
    assert!(one.iter().all(|(_, holders)| holders == [members[0].disk]));
    members.extend(members_of(&[0, 1, 1, 1]).into_iter().skip(2));
    let (three, figures) = step(&one, &members, factor).unwrap();
    assert_eq!(figures.moved, 2 * 4096);
    assert!(three.iter().all(|(_, holders)| holders.len() == 3));
}

#[test]
fn a_member_that_no_longer_accepts_loses_all_its_places() {
    let factor = ReplicationFactor::DEFAULT;
    let mut members = members_of(&[1, 1, 1, 1]);
    let base = assign(&Assignment::empty(), None, &members, factor, |_| true);
    members[2].accepts = false;
    let drained = assign(&base, None, &members, factor, |_| true);
    assert_eq!(drained.counts().get(&members[2].disk), None);
    members[2].accepts = true;
    members[2].weight = 0;
    assert_eq!(assign(&base, None, &members, factor, |_| true), drained);
    members.remove(2);
    assert_eq!(assign(&base, None, &members, factor, |_| true), drained);
}

#[test]
fn when_nobody_accepts_nothing_changes() {
    let mut members = members_of(&[1, 1]);
    let base = assign(
        &Assignment::empty(),
        None,
        &members,
        ReplicationFactor::MIN,
        |_| true,
    );
    members.iter_mut().for_each(|member| member.accepts = false);
    assert_eq!(
        assign(&base, None, &members, ReplicationFactor::MIN, |_| true),
        base
    );
    assert_eq!(
        assign(&base, None, &[], ReplicationFactor::MIN, |_| true),
        base
    );
}

#[test]
fn partitions_that_must_not_move_stay_even_on_a_disk_that_left() {
    let factor = ReplicationFactor::DEFAULT;
    let mut members = members_of(&[1, 1, 1, 1]);
    let base = assign(&Assignment::empty(), None, &members, factor, |_| true);
    let gone = members.remove(0).disk;
    let fixed = |partition: Partition| partition.number() < 1000;
    let next = assign(&base, None, &members, factor, |partition| !fixed(partition));
    for (partition, holders) in next.iter() {
        if fixed(partition) {
            assert_eq!(holders, base.holders(partition));
        } else {
            assert!(holders.len() == 2 && !holders.contains(&gone));
        }
    }
    let counts = next.counts();
    let held: Vec<_> = members.iter().map(|member| counts[&member.disk]).collect();
    assert!(
        held.iter().max().unwrap() - held.iter().min().unwrap() <= 1,
        "{held:?}"
    );
}

#[test]
fn fewer_replicas_drop_the_last_holder_and_copy_next_to_nothing() {
    let shape = Shape {
        workers: 16,
        weights: Weights::Equal,
        zones: Zones::None,
        replicas: 3,
    };
    let members = shape.members(&mut Chance::new(5));
    let three = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
        true
    });
    let (two, _) = {
        let next = assign(&three, None, &members, ReplicationFactor::DEFAULT, |_| true);
        let figures = check_balance(&next, &members, 2).unwrap();
        (next, figures)
    };
    let kept = |(partition, holders): &(Partition, &[DiskId])| {
        three.holders(*partition).starts_with(holders)
    };
    assert!(
        two.iter().filter(kept).count() > 3800,
        "{}",
        two.iter().filter(kept).count()
    );
}

#[test]
fn a_new_zone_is_used_at_once() {
    let mut members = members_of(&[1; 6]);
    for (n, member) in members.iter_mut().enumerate() {
        member.zone = Some(ZoneId::new(["a", "b"][n % 2]));
    }
    let factor = ReplicationFactor::new(3).unwrap();
    let base = assign(&Assignment::empty(), None, &members, factor, |_| true);
    check_spread(&base, &members, 3).unwrap();
    let mut newcomer = members_of(&[1; 7]).remove(6);
    newcomer.zone = Some(ZoneId::new("c"));
    members.push(newcomer);
    let (_, figures) = step(&base, &members, factor).unwrap();
    assert_eq!(figures.moved, 4096);
}

#[test]
fn bytes_are_evened_out_when_films_are_few_and_large() {
    for zones in [Zones::None, Zones::Three] {
        let shape = Shape {
            workers: 16,
            weights: Weights::Mixed,
            zones,
            replicas: 2,
        };
        let mut chance = Chance::new(11);
        let members = shape.members(&mut chance);
        let ring = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
            true
        });
        let mut load = BytesPerPartition::empty();
        for _ in 0..1500 {
            let partition = Partition::all()
                .nth(chance.below(Partition::COUNT))
                .unwrap();
            load.add(partition, (1 + chance.next() % 16) << 28);
        }
        assert!(bytes_off_share(&ring, &load, &members, 2) > 0.1);
        let even = assign(&ring, Some(&load), &members, shape.factor(), |_| true);
        check_spread(&even, &members, 2).unwrap();
        check_balance(&even, &members, 2).unwrap();
        let off = bytes_off_share(&even, &load, &members, 2);
        assert!(off <= 0.1, "{off}");
        let again = assign(&even, Some(&load), &members, shape.factor(), |_| true);
        assert_eq!(even.copies_to(&again), 0, "what is even stays");
    }
}

#[test]
fn a_clone_keeps_its_holders_when_the_other_gets_others() {
    let (one, two) = (DiskId::from_u128(1), DiskId::from_u128(2));
    let first = Partition::all().next().unwrap();
    let mut before = Assignment::empty();
    before.set_holders(first, &[one, two, one]);
    let mut after = before.clone();
    after.set_holders(first, &[one, two]);
    assert_eq!(after, before);
    after.set_holders(first, &[two]);
    assert_eq!(before.holders(first), [one, two]);
    assert_eq!(after.holders(first), [two]);
}

#[test]
fn an_assignment_names_each_partition_once_and_no_disk_twice() {
    let disk = DiskId::from_u128(1);
    assert!(Assignment::try_from(vec![vec![disk]; 4095]).is_err());
    assert!(Assignment::try_from(vec![vec![disk, disk]; 4096]).is_err());
    let ring = Assignment::try_from(vec![vec![disk]; 4096]).unwrap();
    let bytes = postcard::to_stdvec(&ring).unwrap();
    assert_eq!(postcard::from_bytes::<Assignment>(&bytes).unwrap(), ring);
}

#[test]
fn replication_factors_are_one_to_seven() {
    let read = |text: &str| {
        text.parse::<ReplicationFactor>()
            .map(ReplicationFactor::get)
    };
    assert!((1..=7).all(|n| read(&n.to_string()) == Ok(n)));
    for bad in ["0", "8", "-1", "two", "", "256"] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
}

fn members_of(weights: &[u32]) -> Vec<Member> {
    let member = |(n, weight): (u128, &u32)| Member {
        disk: DiskId::from_u128(n),
        weight: *weight,
        zone: None,
        accepts: true,
    };
    (1..).zip(weights).map(member).collect()
}

fn any_members() -> impl Strategy<Value = Vec<Member>> {
    let member = (
        1_u32..=16,
        proptest::option::of(0_u8..4),
        prop::bool::weighted(0.9),
    );
    proptest::collection::vec(member, 1..10).prop_map(|list| {
        (1..)
            .zip(list)
            .map(|(n, (weight, zone, accepts))| Member {
                disk: DiskId::from_u128(n * 0x9e37_79b9_7f4a_7c15),
                weight,
                zone: zone.map(|zone| ZoneId::new(format!("z{zone}"))),
                accepts,
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_cluster_turns_into_any_other_within_the_bounds(
        before in any_members(),
        after in any_members(),
        replicas in 1_u8..=4,
    ) {
        let factor = ReplicationFactor::new(replicas).unwrap();
        let base = assign(&Assignment::empty(), None, &before, factor, |_| true);
        if after.iter().any(|member| member.accepts) {
            let (next, _) = step(&base, &after, factor).map_err(TestCaseError::fail)?;
            let mut turned = after;
            turned.reverse();
            prop_assert_eq!(assign(&base, None, &turned, factor, |_| true), next);
        }
    }
}
