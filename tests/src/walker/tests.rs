//! A walker that finds nothing wrong with a wrong disk would prove nothing.

use super::*;

const CLUSTER: &str = "0102030405060708090a0b0c0d0e0f10";
const FILE: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";

/// A chunk file as `docs/format.md` draws it.
fn chunk_file(index: u32, bytes: &[u8]) -> Vec<u8> {
    let file = id_bytes(FILE).unwrap();
    let mut footer = b"MDFSFOOT".to_vec();
    footer.extend(1_u32.to_le_bytes());
    footer.extend(65_536_u32.to_le_bytes());
    footer.extend(id_bytes(CLUSTER).unwrap());
    footer.extend(file);
    footer.extend(index.to_le_bytes());
    footer.extend(0_u32.to_le_bytes());
    footer.extend(as_u64(bytes.len()).to_le_bytes());
    footer.extend((1_u64 << 20).to_le_bytes());
    footer.resize(1152, 0);
    for (number, block) in (0_u32..).zip(bytes.chunks(65_536)) {
        let parts = [
            &file[..],
            &index.to_le_bytes(),
            &number.to_le_bytes(),
            block,
        ];
        footer.extend(crc32fast::hash(&parts.concat()).to_le_bytes());
    }
    let mut whole = bytes.to_vec();
    whole.extend(&footer);
    whole.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
    whole.extend(crc32fast::hash(&footer).to_le_bytes());
    whole.extend(b"MDFSTAIL");
    whole
}

/// A disk with one file; what a walker finds on it.
fn disk_with(path: &str, bytes: &[u8]) -> Disk {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    Disk::read(folder.path(), CLUSTER, Depth::Blocks).unwrap()
}

fn home(index: u32) -> String {
    format!("chunks/a1b/{FILE}.{index}")
}

fn only(disk: &Disk) -> Copy {
    let [copy] = &disk.copies.values().collect::<Vec<_>>()[..] else {
        panic!("{disk:?}")
    };
    (*copy).clone()
}

#[test]
fn a_chunk_is_good_only_as_it_was_written_and_in_its_place() {
    let bytes = vec![7; 100_000];
    let good = chunk_file(3, &bytes);
    let (length, chunk_size) = (100_000, 1 << 20);
    assert_eq!(
        only(&disk_with(&home(3), &good)),
        Copy::Good { length, chunk_size }
    );
    let damaged = |path: &str, bytes: &[u8]| {
        let copy = only(&disk_with(path, bytes));
        assert!(matches!(copy, Copy::Damaged(_)), "{copy:?}");
    };
    damaged(&home(4), &good);
    for at in [0, 70_000, 100_010, 100_200, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        damaged(&home(3), &flipped);
    }
    for cut in [0, 10, 1000, 50_000] {
        damaged(&home(3), &good[..cut]);
    }
    damaged(&home(3), &[&good[..], b"x"].concat());
}

#[test]
fn what_the_format_does_not_know_is_foreign() {
    for path in [
        "else".to_owned(),
        format!("chunks/a1c/{FILE}.0"),
        format!("chunks/a1b/{FILE}.00"),
        "chunks/a1b/x.0".to_owned(),
        "damaged/x.0".to_owned(),
        format!("damaged/a1b/{FILE}.0"),
    ] {
        let disk = disk_with(&path, b"");
        assert_eq!(disk.foreign.len(), 1, "{path}");
    }
    assert_eq!(disk_with("staging/x.0", b"").staged, ["x.0"]);
    for path in ["identity".to_owned(), format!("damaged/{FILE}.0")] {
        let disk = disk_with(&path, b"");
        assert!(disk.foreign.is_empty() && disk.staged.is_empty(), "{path}");
    }
}

fn record(size: u64) -> Record {
    Record {
        name: "one".to_owned(),
        file_id: FILE.to_owned(),
        size,
        chunk_size: 10,
        replicas: 2,
    }
}

/// Disks with these copies of the chunks of a file: one word a disk, one letter a chunk; `g` good,
/// `s` too short, `d` damaged, `-` none.
fn disks(words: &[&str]) -> BTreeMap<String, Disk> {
    let disk = |word: &str| {
        let mut disk = Disk::default();
        for (index, letter) in (0..).zip(word.chars()) {
            let length = if letter == 'g' { 10 } else { 9 };
            let chunk_size = 10;
            let copy = match letter {
                'g' | 's' => Copy::Good { length, chunk_size },
                'd' => Copy::Damaged("test"),
                _ => continue,
            };
            disk.copies.insert((FILE.to_owned(), index), copy);
        }
        disk
    };
    (0..)
        .zip(words)
        .map(|(number, word)| (format!("w{number}"), disk(word)))
        .collect()
}

#[track_caller]
fn counted(words: &[&str], want: (u64, u64, u64, u64)) {
    let records = Records {
        files: vec![record(20)],
        ..Records::default()
    };
    let disks = disks(words);
    let count = Count::of(&records, &disks);
    let found = (
        count.under_replicated_files,
        count.missing_files,
        count.damaged_chunks,
        count.excess_copies,
    );
    assert_eq!(found, want, "{words:?}: {count:?}");
    let settled = only_what_is_wanted(&records, &disks, 0).is_ok();
    assert_eq!(settled, want == (0, 0, 0, 0), "{words:?}");
}

#[test]
fn copies_are_counted_by_disk_and_only_good_ones() {
    counted(&["gg", "gg"], (0, 0, 0, 0));
    counted(&["g-", "gg", "-g"], (0, 0, 0, 0));
    counted(&["gg", "g-"], (1, 0, 0, 0));
    counted(&["-g", "-g"], (1, 1, 0, 0));
    counted(&["gd", "gg"], (1, 0, 1, 0));
    counted(&["gs", "gd"], (1, 1, 1, 0));
    counted(&["gg", "gg", "gg"], (0, 0, 0, 2));
    counted(&["gg", "gg", "-d"], (0, 0, 1, 0));
}

#[test]
fn what_no_record_has_is_allowed_only_to_open_uploads() {
    let nothing = Records::default();
    let mut disks = disks(&["g"]);
    assert!(only_what_is_wanted(&nothing, &disks, 0).is_err());
    assert!(only_what_is_wanted(&nothing, &disks, 1).is_ok());
    disks.get_mut("w0").unwrap().staged = vec!["other.0".to_owned()];
    assert!(only_what_is_wanted(&nothing, &disks, 1).is_err());
    disks.get_mut("w0").unwrap().foreign = vec![PathBuf::from("x")];
    assert!(only_what_is_wanted(&nothing, &disks, 2).is_err());
}
