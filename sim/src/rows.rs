//! The faults that a simulation is there to reach: the rows of the failure model that it simulates,
//! and the marks by which a run shows that it reached them.

/// A row of the failure model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub number: u8,
    /// The fault.
    pub fault: &'static str,
    /// What shows that it happened: each of these does.
    pub marks: &'static [&'static str],
}

const fn row(number: u8, fault: &'static str, marks: &'static [&'static str]) -> Row {
    Row {
        number,
        fault,
        marks,
    }
}

/// All rows that are simulated.
pub const ROWS: &[Row] = &[
    row(
        1,
        "worker killed in the middle of a chunk",
        &["worker killed under a chunk"],
    ),
    row(
        2,
        "power loss with bytes not synced",
        &["power cut with bytes in doubt"],
    ),
    row(3, "torn write", &["write torn by a power cut"]),
    row(
        4,
        "power loss between rename and sync",
        &["power cut with names in doubt"],
    ),
    row(
        5,
        "no room in the middle of an upload",
        &["client told that there is no room"],
    ),
    row(
        6,
        "no room on a voter's disk",
        &["deleted while a voter's disk was full"],
    ),
    row(8, "read error", &["read failed"]),
    row(9, "sync error", &["sync failed"]),
    row(10, "bit flipped in data", &["bit flipped"]),
    row(
        11,
        "bit flipped in header, log or table",
        &["bit flipped in a footer", "bit flipped in a log"],
    ),
    row(12, "misdirected write", &["block in another's place"]),
    row(13, "lost write", &["power cut after a sync that lied"]),
    row(
        14,
        "both copies bad in different blocks",
        &["copies damaged in different blocks"],
    ),
    row(
        15,
        "both copies bad in the same block",
        &["copies damaged in the same block"],
    ),
    row(17, "slow disk", &["slow disk"]),
    row(18, "hung disk", &["hung disk"]),
    row(20, "worker killed in a loop", &["worker killed in a loop"]),
    row(21, "crash during repair", &["worker killed under a copy"]),
    row(22, "written other than sent", &["written other than sent"]),
    row(23, "blank disk under a known name", &["disk wiped"]),
    row(24, "worker comes with another's disk", &["disks swapped"]),
    row(25, "disk of another cluster", &["foreign disk"]),
    row(27, "old snapshot of a disk", &["old snapshot of a disk"]),
    row(28, "retired disk comes back", &["retired disk came back"]),
    row(
        29,
        "two workers leave at once",
        &["two disks leave at once"],
    ),
    row(
        31,
        "copies wanted raised or lowered",
        &["copies wanted changed"],
    ),
    row(
        32,
        "fewer workers than copies",
        &["client told that workers are too few"],
    ),
    row(
        33,
        "worker joins while an upload runs",
        &["worker joined under an upload"],
    ),
    row(34, "disk lost", &["disk wiped"]),
    row(36, "all workers restart together", &["all workers killed"]),
    row(37, "all masters lost", &["all masters killed"]),
    row(38, "wall clock jumps a year", &["wall clock jumped"]),
    row(39, "clock of twice the rate", &["clock of another rate"]),
    row(
        40,
        "master killed between copies and commit",
        &["master killed between copies and commit"],
    ),
    row(
        41,
        "master killed between commit and answer",
        &["repeated after it was done"],
    ),
    row(
        42,
        "two masters believe that they lead",
        &["two masters believed to lead"],
    ),
    row(
        43,
        "old leader resumes after a pause",
        &["old leader went on after a pause"],
    ),
    row(
        45,
        "master and worker parted",
        &["master and worker parted"],
    ),
    row(46, "workers parted", &["workers parted"]),
    row(47, "parted one way", &["parted one way"]),
    row(
        49,
        "packets lost, doubled, late",
        &["packet lost", "message came twice"],
    ),
    row(
        52,
        "another worker at a known address",
        &["another disk at an address"],
    ),
    row(53, "no API server", &["no API server"]),
    row(55, "one heartbeat lost", &["heartbeat lost"]),
    row(56, "many workers silent at once", &["repair paused"]),
    row(57, "worker comes and goes", &["worker flapped"]),
    row(
        58,
        "order of an earlier term comes late",
        &["message of an earlier term came again"],
    ),
    row(
        59,
        "one name stored twice at once",
        &["stored twice at once"],
    ),
    row(60, "delete races upload", &["deleted under an upload"]),
    row(61, "delete races a repair copy", &["deleted under a copy"]),
    row(
        62,
        "delete with a holder down",
        &["deleted while a worker was down"],
    ),
    row(
        63,
        "delete repeated after an upload",
        &["old delete sent again", "refused delete sent again"],
    ),
    row(64, "renames cross", &["renames crossed"]),
    row(
        65,
        "overwritten under a reader",
        &["overwritten under a reader"],
    ),
    row(66, "repair races overwrite", &["overwritten under a copy"]),
    row(
        68,
        "repeated after a success nobody heard of",
        &["repeated after it was done"],
    ),
    row(69, "conditional put twice", &["conditional put refused"]),
    row(
        71,
        "chunks of dead uploads",
        &["broken upload left nothing"],
    ),
    row(81, "worker reports falsely", &["false report"]),
    row(
        83,
        "administration given up half-way",
        &["order given again"],
    ),
    row(
        89,
        "two processes on one disk",
        &["two processes on one disk"],
    ),
];
