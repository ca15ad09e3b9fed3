use super::*;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkLayout, ChunkSize};
use mdfs_core::id::FileId;
use mdfs_core::records::Wanted;
use mdfs_core::ring::ReplicationFactor;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn record() -> FileRecord {
    FileRecord {
        version: 7,
        file: FileId::from_u128(1),
        size: 100,
        layout: ChunkLayout::of_file(100, ChunkSize::DEFAULT).unwrap(),
        chunk_size: ChunkSize::DEFAULT,
        replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
        crc32: Crc32(1),
        blake3: Blake3([0xab; 32]),
        content_type: "video/mp4".to_owned(),
        labels: mdfs_core::labels::Labels::default(),
        modified: LogTime::from_millis(784_111_777_900),
        exceptions: Vec::new(),
    }
}

/// `lines` are headers; TAG stands for the file's tag. Answers `200`, `206`, `304`, `412` or `400`.
fn check(lines: &str, want: u16) {
    let mut headers = HeaderMap::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        let value = value.replace("TAG", &record().etag());
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let now = LogTime::from_millis(784_111_900_000);
    let got = match read_outcome(&headers, &record(), now) {
        Ok(Outcome::Whole) => 200,
        Ok(Outcome::Ranges(_)) => 206,
        Ok(Outcome::NotModified) => 304,
        Ok(Outcome::Failed(_)) => 412,
        Err(error) => error.code().status(),
    };
    assert_eq!(got, want, "{lines}");
}

#[test]
fn conditions_are_taken_in_the_order_of_the_rfc() {
    check("", 200);
    check("range: bytes=0-1", 206);
    check("range: bytes=5-2", 200);
    check("range: bytes=0-1\nrange: bytes=5-6", 200);
    check("if-match: TAG", 200);
    check("if-match: *", 200);
    check("if-match: \"other\", TAG", 200);
    check("if-match: \"other\"\nif-match: TAG", 200);
    check("if-match: \"other\"", 412);
    check("if-match: W/TAG", 412);
    check("if-match: unquoted", 400);
    check("if-match: TAG TAG", 400);
    check(
        &format!("if-match: TAG\nif-unmodified-since: {EARLIER}"),
        200,
    );
    check(&format!("if-unmodified-since: {EARLIER}"), 412);
    check(&format!("if-unmodified-since: {MODIFIED}"), 200);
    check("if-unmodified-since: yesterday", 200);
    check("if-none-match: TAG", 304);
    check("if-none-match: W/TAG", 304);
    check("if-none-match: *", 304);
    check("if-none-match: \"other\"", 200);
    check(
        &format!("if-none-match: \"other\"\nif-modified-since: {LATER}"),
        200,
    );
    check(&format!("if-modified-since: {MODIFIED}"), 304);
    check(&format!("if-modified-since: {LATER}"), 200);
    check(&format!("if-modified-since: {EARLIER}"), 200);
    check("if-match: \"other\"\nif-none-match: TAG", 412);
    check("if-none-match: TAG\nrange: bytes=0-1", 304);
}

#[test]
fn a_range_holds_for_the_version_that_the_client_knows() {
    check("range: bytes=0-1\nif-range: TAG", 206);
    check("range: bytes=0-1\nif-range: \"other\"", 200);
    check("range: bytes=0-1\nif-range: W/TAG", 200);
    check(&format!("range: bytes=0-1\nif-range: {MODIFIED}"), 206);
    check(&format!("range: bytes=0-1\nif-range: {EARLIER}"), 200);
    check(&format!("range: bytes=0-1\nif-range: {LATER}"), 200);
    check("range: bytes=0-1\nif-range: nonsense", 200);
}

#[test]
fn a_date_of_the_running_second_is_no_proof_of_a_version() {
    let mut headers = HeaderMap::new();
    headers.insert(RANGE, "bytes=0-1".parse().unwrap());
    headers.insert(IF_RANGE, MODIFIED.parse().unwrap());
    let outcome = read_outcome(&headers, &record(), LogTime::from_millis(784_111_777_950));
    assert_eq!(outcome.unwrap(), Outcome::Whole);
}
